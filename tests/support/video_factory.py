"""Small clips whose every frame says its number, made with PyAV's own encoders."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource, open_camera

MS = 1_000_000
SIZE = (96, 160)
RED, BLUE = (220, 30, 30), (30, 30, 220)


def numbered_image(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Eight bars at the top spell the number in binary; below, the left half is red and the right half blue."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(8):
        image[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 255 * (number >> bit & 1)
    image[height // 2 :, : width // 2] = RED
    image[height // 2 :, width // 2 :] = BLUE
    return image


def number_of(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    bars = [image[height // 4, int((bit + 0.5) * width / 8)].mean() > 127 for bit in range(8)]
    return sum(int(bar) << bit for bit, bar in enumerate(bars))


def write_clip(
    path: Path,
    numbers: Iterable[int] = range(12),
    *,
    size: tuple[int, int] = SIZE,
    fps: int = 25,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 4,
    b_frames: int = 2,
    turn: dict[str, Any] | None = None,
    created: str | None = None,
    matrix: Colorspace = Colorspace.ITU601,
    full_range: bool = False,
    format: str | None = None,  # noqa: A002  the muxer's own word
    options: dict[str, str] | None = None,
) -> Path:
    """Writes one frame for each number; `times` are in milliseconds, else frames follow each other at `fps`."""
    unit = Fraction(1, 1000) if times is not None else Fraction(1, fps)
    container = av.open(str(path), "w", format=format, options=options or {})
    if created is not None:
        container.metadata["creation_time"] = created
    stream = container.add_stream(codec, rate=fps)
    stream.height, stream.width = size
    stream.pix_fmt = pix_fmt
    stream.codec_context.time_base = unit
    stream.codec_context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    stream.codec_context.colorspace = 1 if matrix == Colorspace.ITU709 else 6
    stream.codec_context.thread_count = 1
    if codec == "libx264":
        stream.options = {"g": str(gop), "bf": str(b_frames), "crf": "10", "preset": "ultrafast", "sc_threshold": "0"}
    if codec == "libx265":
        closed = f"keyint={gop}:bframes={b_frames}:scenecut=0:open-gop=0:b-adapt=0:log-level=none:pools=none"
        stream.options = {"crf": "10", "preset": "ultrafast", "x265-params": closed}
    if turn is not None:
        stream.set_display_rotation(**turn)
    reformatter = VideoReformatter()
    for position, number in enumerate(numbers):
        rgb = av.VideoFrame.from_ndarray(numbered_image(number, size), format="rgb24")
        frame = reformatter.reformat(
            rgb,
            format=pix_fmt,
            dst_colorspace=matrix,
            dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        )
        frame.pts = position if times is None else times[position]
        frame.time_base = unit
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()
    return path


def write_sound(path: Path) -> Path:
    """Writes a tenth of a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoil_packets(path: Path, which: Iterable[int]) -> Path:
    """Overwrites packets, counted in the order they lie in the file, so that they cannot be decoded."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in which:
        start, length = places[number]
        content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    return path


def as_transport_stream(clip: Path, stream_type: int | None = None) -> bytes:
    """Returns a clip as MPEG-TS.

    Args:
        clip: H.264.
        stream_type: what the stream says it is coded as (ISO/IEC 13818-1, table 2-34); the truth if None.
    """
    packed = io.BytesIO()
    with av.open(str(clip)) as source, av.open(packed, "w", format="mpegts") as target:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = bytearray(packed.getvalue())
    for packet_at in range(0, len(data), 188):
        is_map = (data[packet_at + 1] & 31) << 8 | data[packet_at + 2] == 0x1000  # where FFmpeg puts it
        if stream_type is not None and is_map:
            table = packet_at + 5
            end = table + 3 + ((data[table + 1] & 15) << 8 | data[table + 2]) - 4
            data[table + 12 + ((data[table + 10] & 15) << 8 | data[table + 11])] = stream_type
            data[end : end + 4] = _mpeg_crc(data[table:end]).to_bytes(4, "big")
    return bytes(data)


def _mpeg_crc(data: bytes) -> int:
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ (0x04C11DB7 if rest & 0x80000000 else 0)) & 0xFFFFFFFF
    return rest


def read(path: Path) -> tuple[FrameSource, list[Frame | LostFrame]]:
    source = open_camera("front", [str(path)])
    return source, list(source)


def numbers(items: list[Frame | LostFrame]) -> list[int | None]:
    return [number_of(item.image) if isinstance(item, Frame) else None for item in items]


def times_ms(items: list[Frame | LostFrame]) -> list[float | None]:
    return [None if item.timestamp_ns is None else item.timestamp_ns / MS for item in items]
