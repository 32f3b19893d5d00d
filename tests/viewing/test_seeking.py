"""Any frame of a video is the one that a run reads there, pixel for pixel."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from roadmask.streaming.frames import Frame
from roadmask.streaming.sources import open_camera
from roadmask.viewing.images import SequentialImages, open_access
from roadmask.viewing.seeking import SeekingVideo


def write(path: Path, *, frames: int = 30, keys: int = 8, drop: int = 0, times: Sequence[int] | None = None) -> Path:
    """Writes a video with a keyframe every few frames and two B-frames between others; `drop` packets are missing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        stream.options = {"g": str(keys), "bf": "2", "x264-params": "scenecut=0:open-gop=1"}
        packets = []
        for index in range(frames):
            image = np.full((48, 64, 3), 40, np.uint8)
            image[10:30, 2 * index % 50 :][:, :12] = (255 - 6 * index, 6 * index, 128)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = times[index] if times is not None else 4 * index
            packets += stream.encode(frame)
        packets += stream.encode(None)
        container.mux(packets[drop:])
    return path


def stamps_of(*paths: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_camera("front", [str(path) for path in paths]) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    return np.array([item.frame_index for item in frames]), np.array([item.timestamp_ns for item in frames])


def frames_of(*paths: Path) -> dict[int, np.ndarray]:
    with open_camera("front", [str(path) for path in paths]) as source:
        return {item.frame_index: item.image for item in source if isinstance(item, Frame)}


def wrong(expected: dict[int, np.ndarray], *paths: Path, kind: type = SeekingVideo) -> list[int]:
    """Returns the frames that differ, asked for in a random order, then some in a row."""
    access = open_access(open_camera("front", [str(path) for path in paths]))
    assert type(access) is kind
    order = [
        *np.random.default_rng(3).permutation(list(expected)).tolist(),
        *(index for index in range(10, 17) if index in expected),
    ]
    differing = []
    for index in order:
        image = access.image_at(index)
        if image is None or not np.array_equal(image, expected[index]):
            differing.append(index)
    access.close()
    return differing


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_every_frame_is_found(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    expected = frames_of(path)
    assert len(expected) == 30
    assert wrong(expected, path) == []


def test_irregular_times_and_chapters(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).integers(1, 30, size=20)).tolist()
    paths = write(tmp_path / "1.mp4", frames=20, times=times), write(tmp_path / "2.mp4", frames=13)
    expected = frames_of(*paths)
    assert len(expected) == 33
    assert wrong(expected, *paths) == []


def test_frames_are_those_of_the_store_if_their_times_agree(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).integers(1, 30, size=20)).tolist()
    paths = write(tmp_path / "1.mp4", frames=20, times=times), write(tmp_path / "2.mkv", frames=13)
    access = open_access(open_camera("front", [str(path) for path in paths]))
    assert isinstance(access, SeekingVideo)
    frame_index, timestamp_ns = stamps_of(*paths)
    assert access.agrees(frame_index, timestamp_ns)
    assert access.agrees(frame_index[3:9], timestamp_ns[3:9])
    assert not access.agrees(frame_index[:9] + 1, timestamp_ns[:9])  # as where a packet gave two frames
    assert not access.agrees(frame_index + 10, timestamp_ns)  # more frames than there are packets
    assert not access.agrees(frame_index[:0], timestamp_ns[:0])
    access.close()


def test_a_recording_that_begins_between_keyframes(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.ts", drop=3)
    expected = frames_of(path)
    access = open_access(open_camera("front", [str(path)]))
    assert access.image_at(7) is not None
    access.close()
    # before the first keyframe, pixels depend on what the decoder makes up for missing references
    assert wrong({index: image for index, image in expected.items() if index > 8}, path) == []


def test_a_container_without_times_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.h264")
    expected = frames_of(path)
    assert len(expected) > 20
    assert wrong(expected, path, kind=SequentialImages) == []


def test_a_frame_that_is_not_there_is_none(tmp_path: Path) -> None:
    access = open_access(open_camera("front", [str(write(tmp_path / "a.mp4"))]))
    assert access.image_at(30) is None
    assert access.image_at(-1) is None
    access.close()
