"""A long store with its recording: the sample drive, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from roadmask.engines.classes import CLASS_NAMES
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.sources import open_camera
from roadmask.streaming.store import CameraWriter, MaskStore
from roadmask.tracking import Tracks

SIZE = (540, 960)
"""Height and width of the images in pixels, those of a small dashcam."""
FPS = 25
LOOP = 100
"""Number of frames that are rendered; the drive repeats them."""
KEYFRAMES = 25
"""Frames from one keyframe to the next: dashcams write one each second, or more."""


def make_drive(folder: Path, frames: int) -> Path:
    """Writes a video and a store with its true masks. Every repetition has tracks of its own.

    Args:
        folder: where both are written, as front.mp4 and drive.zarr.
        frames: number of frames of both.
    """
    drive = SampleDrive(SampleDriveConfig(height=SIZE[0], width=SIZE[1], seconds=LOOP / FPS, fps=FPS))
    images, tracks = [], []
    for index in range(min(LOOP, frames)):
        image, truth = drive.frame(index)
        seen = truth.visible_fraction > 0.3
        images.append(image)
        tracks.append(Tracks.from_ids(truth.instances[seen], truth.object_ids[seen].astype(np.int64)))
    video = folder / "front.mp4"
    _write_video(video, images, frames)
    with open_camera("front", [str(video)]) as source:
        described = source.describe()
    ids = 1 + max(int(each.track_ids.max(initial=0)) for each in tracks)
    engine = {"engine": "truth", "weights": "sample drive"}
    with (
        MaskStore.create(
            folder / "drive.zarr", class_names=CLASS_NAMES, engine=engine, sources={"front": described}, config={}
        ) as store,
        CameraWriter(store.path, "front") as camera,
    ):
        camera.start_epoch(0, SIZE, "media")
        for index in range(frames):
            one = tracks[index % LOOP]
            shifted = Tracks.from_ids(one.instances, one.track_ids + ids * (index // LOOP))
            camera.append(index, round(index * 1e9 / FPS), shifted)
        camera.close(captured=frames)
    return folder / "drive.zarr"


def _write_video(path: Path, images: list[np.ndarray], frames: int) -> None:
    """Encodes the images once, and repeats their packets."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        stream.options = {"g": str(KEYFRAMES), "bf": "0", "crf": "23", "preset": "veryfast"}
        packets = [bytes(packet) for image in images for packet in stream.encode(_frame(image))]
        packets += [bytes(packet) for packet in stream.encode(None)]
        for index, data in zip(range(frames), _repeated(packets), strict=False):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, FPS), index % len(packets) % KEYFRAMES == 0
            container.mux(packet)


def _frame(image: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(image, "rgb24")


def _repeated(packets: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from packets
