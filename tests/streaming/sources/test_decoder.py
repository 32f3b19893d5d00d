"""Every frame comes back once, decoded or missing, whoever feeds the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from av.codec.context import ThreadType

from roadmask.streaming.sources.colour import RgbConverter
from roadmask.streaming.sources.decoder import DecodedFrame, MissingFrame, PacketDecoder
from support.video_factory import number_of, spoil_packets, write_clip


def packets(path: Path, container: Any) -> Iterator[Any]:
    yield from (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def opened(path: Path, *, low_delay: bool = False) -> tuple[Any, Any]:
    container = av.open(str(path))
    context = container.streams.video[0].codec_context
    context.thread_type = ThreadType.NONE if low_delay else ThreadType.AUTO
    return container, context


def test_frames_come_as_they_are_shown_with_their_numbers(tmp_path: Path) -> None:
    container, context = opened(write_clip(tmp_path / "clip.mp4", range(12), b_frames=2))
    decoder, to_rgb = PacketDecoder(context), RgbConverter(context.name)
    pts = {}
    items: list[Any] = []
    with container:
        for number, packet in enumerate(packets(tmp_path, container)):
            pts[number] = packet.pts
            items += decoder.decode(packet)
            assert decoder.waiting == number + 1 - len(items)
        items += decoder.finish()
    assert all(isinstance(item, DecodedFrame) for item in items)
    assert [number_of(to_rgb(item.frame)[0]) for item in items] == list(range(12))
    assert sorted(item.number for item in items) == list(range(12))
    assert [item.number for item in items] != list(range(12))  # some were decoded before they were shown
    assert [pts[item.number] for item in items] == [item.pts for item in items]
    assert (decoder.waiting, decoder.frames) == (0, 12)


@pytest.mark.parametrize("reread_end", [True, False])
@pytest.mark.parametrize("spoiled", [[5], [0], [11], [3, 4, 5], range(12)])
def test_each_packet_comes_back_once(tmp_path: Path, spoiled: list[int], reread_end: bool) -> None:
    path = spoil_packets(write_clip(tmp_path / "clip.mp4", range(12), b_frames=0), spoiled)
    container, context = opened(path, low_delay=True)
    decoder = PacketDecoder(context, reread_end=reread_end)
    with container:
        items = list(decoder.decode_all(packets(path, container)))
    assert sorted(item.number for item in items if item.number is not None) == list(range(12))
    lost = {item.number for item in items if isinstance(item, MissingFrame)}
    assert lost >= {number for number in spoiled if number % 4}  # FFmpeg may conceal a keyframe
    assert decoder.waiting == 0


def test_a_lost_packet_is_reported_when_the_next_frame_is_shown(tmp_path: Path) -> None:
    path = spoil_packets(write_clip(tmp_path / "clip.mp4", range(12), b_frames=0), [5])
    container, context = opened(path, low_delay=True)
    decoder = PacketDecoder(context, reread_end=False)
    told: dict[int, int] = {}
    with container:
        for number, packet in enumerate(packets(path, container)):
            told |= {item.number: number for item in decoder.decode(packet) if isinstance(item, MissingFrame)}
    assert set(told) == {5}
    assert told[5] <= 10


def test_a_connection_that_is_lost_gives_what_was_decoded(tmp_path: Path) -> None:
    container, context = opened(write_clip(tmp_path / "clip.mp4", range(12), b_frames=2), low_delay=True)
    decoder = PacketDecoder(context, reread_end=False)
    items: list[Any] = []
    with container:
        for number, packet in enumerate(packets(tmp_path, container)):
            items += decoder.decode(packet)
            if number == 6:
                break
        before = len(items)
        items += decoder.finish()
    assert before < 7
    assert sorted(item.number for item in items) == list(range(7))
    assert all(isinstance(item, DecodedFrame) for item in items)
