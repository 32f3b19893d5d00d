"""What packets hold, by their headers alone."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from roadmask.streaming.sources.packets import Content, PacketReader
from support.field import ENCODERS, encoded


def contents(path: Path) -> list[Content]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        reader = PacketReader(video.codec_context.name, video.codec_context.extradata)
        assert reader.reads
        return [reader.read(bytes(packet)) for packet in container.demux(video) if packet.size]


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
def test_every_packet_of_an_ordinary_clip_holds_a_frame(tmp_path: Path, codec: str, suffix: str) -> None:
    encoder, options, b_frames = ENCODERS[codec]
    found = contents(encoded(tmp_path / f"clip.{suffix}", encoder, options, b_frames=b_frames))
    assert len(found) == 40
    # HEVC says by itself which frames need others before the keyframe
    assert set(found) == ({Content.FRAME} if codec == "hevc" else {Content.FRAME, Content.B_FRAME})


def test_the_fields_of_a_frame(data_dir: Path) -> None:
    found = contents(data_dir / "field" / "HCAFF1_HHI.264")
    assert [number for number, content in enumerate(found) if content is Content.SECOND_FIELD] == [1, 3, 5, 10]
    assert len(found) == 14


@pytest.mark.parametrize(
    ("codec", "data", "content"),
    [
        ("vp8", b"\x10\0\0", Content.FRAME),
        ("vp8", b"\0\0\0", Content.NOTHING),
        ("vp9", b"\x82\x49", Content.FRAME),
        ("vp9", b"\x80\x49", Content.NOTHING),  # show_frame is 0
        ("vp9", b"\x88\x49", Content.FRAME),  # shows one that was decoded before
        ("vp9", b"\x80\x49\xc1", Content.FRAME),  # a superframe
        ("mpeg4", b"\0\0\1\xb6\x50", Content.REPETITION),
        ("mpeg4", b"\0\0\1\xb6\x90" + bytes(100), Content.B_FRAME),
        ("mpeg2video", b"\0\0\1\0\0\x18", Content.B_FRAME),
        ("mpeg2video", b"\xff" * 9, Content.DAMAGED),
        ("h264", b"\0\0\1\x09\xf0", Content.NOTHING),  # a delimiter alone
        ("h264", b"\xff" * 9, Content.DAMAGED),
        ("h264", b"\0\0\1\x61", Content.DAMAGED),
        ("hevc", b"\0\0\1\x26\x01\xaf", Content.FRAME),
        ("hevc", b"\0\0\1\x26\x09\xaf", Content.NOTHING),  # of a second layer, such as the other eye
        ("hevc", b"", Content.DAMAGED),
        ("mjpeg", b"\xff\xd8", Content.FRAME),
    ],
)
def test_headers(codec: str, data: bytes, content: Content) -> None:
    assert PacketReader(codec, None).read(data) is content


def test_leading_frames_are_skipped_only_where_the_stream_begins() -> None:
    clean, leading, end = b"\0\0\1\x2a\x01\xaf", b"\0\0\1\x10\x01\xaf", b"\0\0\1\x48\x01"
    reader = PacketReader("hevc", None)
    found = [reader.read(each) for each in (clean, leading, clean, leading, leading + end, clean, leading)]
    frame, skipped = Content.FRAME, Content.LEADING
    assert found == [frame, skipped, frame, frame, frame, frame, skipped]
