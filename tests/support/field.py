"""Files as people have them, each with what a command must make of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from roadmask.engines import BoxMasks, Image, Instances, ScriptedSegmenter
from support.video_factory import SIZE, numbered_image, write_clip

Make = Callable[[Path], Path]
"""Makes a file in a folder; returns where."""


@dataclass(frozen=True)
class Situation:
    """A row of the table: an input, a command, and what must come of it."""

    name: str
    source: str | Make
    """Name of a file of the shared data, or what makes one."""
    frames: int
    """Frames in the store."""
    options: tuple[str, ...] = ()
    """Further arguments."""
    query: str = ""
    """What is typed behind the name of the file."""
    code: int = 0
    """Exit code."""
    numbers: tuple[int, ...] | None = None
    """Numbers that the stored images show, in order; None where nothing is drawn in them."""
    times_ms: tuple[float, ...] | None = None
    """Times of the stored frames; None where only their number matters."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> frames of the ledger."""
    failed: dict[str, int] = field(default_factory=dict)
    """Reason -> frames of the ledger."""
    says: tuple[str, ...] = ()
    """What must be printed."""
    silent: tuple[str, ...] = ("damaged", "cut off", "failed:")
    """What must not be printed."""

    def make(self, folder: Path, shared: Callable[[], Path]) -> Path:
        """Returns the file: made in a folder, or one of the shared data."""
        return shared() / "field" / self.source if isinstance(self.source, str) else self.source(folder)


def number_segmenter(_config: Any = None, *, image_ms: float = 0.0) -> ScriptedSegmenter:
    """Returns an engine that finds one car, whose score tells the number that is drawn in the image."""

    def find(image: Image, _index: int = 0) -> Instances:
        time.sleep(image_ms / 1000)
        height, width = image.shape[:2]
        bars = [image[height // 4, int((bit + 0.5) * width / 8)].mean() > 127 for bit in range(8)]
        number = sum(int(bar) << bit for bit, bar in enumerate(bars))
        box = np.array([[width * 0.1, height * 0.6, width * 0.4, height * 0.9]], np.float32)
        masks = BoxMasks(np.ones((1, 28, 28), np.float32), box, (height, width))
        return Instances((height, width), box, np.array([0.6 + number / 1000], np.float32), np.array([3]), masks)

    return ScriptedSegmenter(find)


def stored_numbers(camera: Any) -> list[int]:
    """Returns the numbers of the stored images of a camera, as `number_segmenter` saw them."""
    found = [camera.frame(position).instances.scores for position in range(len(camera))]
    return [round((float(scores[0]) - 0.6) * 1000) for scores in found]


def stored_times_ns(camera: Any) -> list[int]:
    """Returns the times of the stored frames of a camera."""
    return [int(time_ns) for epoch in camera.epochs for time_ns in epoch.timestamp_ns]


def clip(name: str, frames: int = 12, **how: Any) -> Make:
    """Makes a clip as `write_clip` does."""
    return lambda folder: write_clip(folder / name, range(frames), **how)


def encoded(path: Path, codec: str, options: dict[str, str], *, frames: int = 40, b_frames: int = 0) -> Path:
    """Writes numbered images with an encoder of one's choice."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.max_b_frames = b_frames
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


OPEN_GOP = "keyint=20:min-keyint=20:bframes=3:scenecut=0:open-gop=1:b-adapt=0"
ENCODERS: dict[str, tuple[str, dict[str, str], int]] = {
    "h264": ("libx264", {"preset": "ultrafast", "crf": "10", "x264-params": OPEN_GOP}, 3),
    "hevc": (
        "libx265",
        {"preset": "ultrafast", "crf": "10", "x265-params": f"{OPEN_GOP}:log-level=none:pools=none"},
        3,
    ),
    "mpeg2": ("mpeg2video", {"g": "20", "q": "2"}, 2),
}
"""Encoders whose groups of images are open: the first frames that are shown of one need the group before."""


def cut(codec: str, name: str, *, packets: int | None = None) -> Make:
    """Makes a clip of 40 frames with keyframes at 0 and 20 that begins later, as a lossless cut or a loop recording.

    Args:
        codec: a key of `ENCODERS`.
        name: of the file; its suffix is the container.
        packets: how many packets are cut away; those before the second keyframe if None.
    """

    def make(folder: Path) -> Path:
        whole = folder / f"whole-{name}.ts"
        encoder, options, b_frames = ENCODERS[codec]
        encoded(whole, encoder, options, b_frames=b_frames)
        with av.open(str(whole)) as source, av.open(str(folder / name), "w") as target:
            video = source.streams.video[0]
            stream = target.add_stream_from_template(video)
            read = [packet for packet in source.demux(video) if packet.size]
            keys = [number for number, packet in enumerate(read) if packet.is_keyframe]
            for packet in read[keys[1] if packets is None else packets :]:
                packet.stream = stream
                target.mux(packet)
        whole.unlink()
        return folder / name

    return make


def joined(folder: Path) -> Path:
    """Makes two recordings in one file; the second has other stream numbers, and begins where nobody looks for them."""
    path = write_clip(folder / "joined.ts", range(40))
    second = write_clip(folder / "second.ts", range(40, 80), options={"mpegts_start_pid": "0x200"})
    filler = b"\x47\x1f\xff\x10" + bytes(184)
    path.write_bytes(path.read_bytes() + 30_000 * filler + second.read_bytes())
    return path


def interrupted(make: Make, packets: int) -> Make:
    """Makes a copy that was interrupted: of a packet half is there, and nothing of what follows."""

    def made(folder: Path) -> Path:
        path = make(folder)
        with av.open(str(path)) as container:
            last = [packet for packet in container.demux(video=0) if packet.size][packets]
            end = (last.pos or 0) + last.size // 2
        path.write_bytes(path.read_bytes()[:end])
        return path

    return made


def two_tracks(sizes: tuple[tuple[int, int], tuple[int, int]], default: tuple[bool, bool], name: str) -> Make:
    """Makes a file of 6 images with two video tracks; images of the second one show numbers from 100 on."""

    def make(folder: Path) -> Path:
        with av.open(str(folder / name), "w") as container:
            streams = [container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"}) for _ in sizes]
            for stream, size, flagged in zip(streams, sizes, default, strict=True):
                stream.height, stream.width = size
                stream.pix_fmt = "yuv420p"
                stream.disposition = av.stream.Disposition.default if flagged else av.stream.Disposition(0)
            for number in range(6):
                for track, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
                    image = numbered_image(number + 100 * track, size)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(frame))
            for stream in streams:
                container.mux(stream.encode(None))
        return folder / name

    return make
