"""Size of stores, and the time to read a frame or a track from a cold open."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.engines import Image, Instances, Segmenter, SegmenterInfo
from roadmask.engines.classes import CAR, CLASS_NAMES, PEDESTRIAN
from roadmask.engines.errors import InputError, StoreError
from roadmask.evaluation.speed.timing import median
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.formats.kitti import KittiFrame, read_kitti_mots, sequence_files
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import CameraReader, CameraWriter, MaskStore, open_drive
from roadmask.streaming.store.layout import METADATA
from roadmask.tracking import LostTracks, Tracks, TrackState

KITTI_FRAME_NS = 100_000_000
"""KITTI's cameras take ten images a second."""
_MASKS = "instances/rle"


@dataclass(frozen=True)
class StoreBenchmark:
    """Settings of the benchmark."""

    weights: str = "lite"
    """Weights that a video is recorded with."""
    frames_max: int | None = None
    """Maximum number of frames of a video or sequence; None for all. Finished stores are measured whole."""
    reads: int = 200
    """Number of random frames that are read."""
    tracks: int = 50
    """Maximum number of random tracks that are read."""
    seed: int = 1
    """Seed of both random choices."""


def benchmark_stores(sources: Sequence[Path], settings: StoreBenchmark) -> list[dict[str, Any]]:
    """Measures stores, made first where a source is none.

    Every frame and track is read from a cold open: by a fresh `open_drive`, after the system was asked to forget the
    pages of all files of the store. Directory entries stay in memory, and what the disk itself keeps.

    Args:
        sources: each a drive, a video, or a folder of KITTI MOTS text files, whose sequences become cameras of a drive.
        settings: how.

    Returns:
        Records of source, frames, instances, stored_bytes (all files), raw_bytes (labels as uint32), share,
        frame_ms_median and frame_ms_p95 (instances and labels of a frame), track_ms_median, track_bytes_read (of the
        mask array: compressed chunks and indices of shards) and track_bytes_own (of the masks of the track itself,
        before they are compressed).

    Raises:
        InputError: a source is missing or none of these, or this system cannot forget pages.
        StoreError: the store cannot be written, or holds fewer instances than went in.
    """
    if not hasattr(os, "posix_fadvise"):
        raise InputError("measuring a cold open needs Linux, whose page cache can be told to forget files.")
    results = []
    for source in sources:
        with tempfile.TemporaryDirectory(prefix="roadmask-bench-") as folder:
            results.append(_measure(source, _store_of(source, Path(folder) / "drive.zarr", settings), settings))
    return results


def _store_of(source: Path, path: Path, settings: StoreBenchmark) -> Path:
    """Returns the store itself, or writes one and checks that nothing is missing from it."""
    if (source / METADATA).is_file():
        return source
    if source.is_dir():
        put_in = write_mots(source, path, settings.frames_max)
    elif source.is_file():
        put_in = _record(source, path, settings)
    else:
        raise InputError(f"expected a drive, a video or a folder of KITTI MOTS text at {source}, found nothing.")
    stored = sum(epoch.extent.instances for camera in open_drive(path).values() for epoch in camera.epochs)
    if stored < put_in:
        raise StoreError(f"{source}: expected {put_in} instances in its store, found {stored}: do not trust its size.")
    return path


def write_mots(folder: Path, path: Path, frames_max: int | None = None) -> int:
    """Writes every sequence of KITTI MOTS as a camera of a drive, with its own track ids.

    Returns:
        The instances of the input.

    Raises:
        InputError: there is no sequence, or one cannot be read.
        StoreError: the store cannot be written.
    """
    names = {label: CLASS_NAMES[label] for label in (PEDESTRIAN, CAR)}
    put_in = 0
    sequences = {name: read_kitti_mots(file)[:frames_max] for name, file in sequence_files(folder).items()}
    sequences = {name: frames for name, frames in sequences.items() if frames}
    sources = {name: {"file": f"{name}.txt"} for name in sequences}
    with MaskStore.create(path, class_names=names, engine={}, sources=sources, config={}) as store:
        for name, frames in sequences.items():
            with CameraWriter(store.path, name) as camera:
                camera.start_epoch(0, frames[0].instances.image_size, "media")
                for index, frame in enumerate(frames):
                    camera.append(index, index * KITTI_FRAME_NS, _tracks(frame))
                    put_in += len(frame.instances)
    return put_in


def _tracks(frame: KittiFrame) -> Tracks:
    count = len(frame.instances)
    nobody = np.zeros(0, np.int64)
    return Tracks(
        frame.instances,
        np.array([int(row[1]) for row in frame.rows], np.int64),
        np.full(count, TrackState.CONFIRMED, np.uint8),
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.float32),
        LostTracks(nobody, nobody, np.zeros((0, 4), np.float32), nobody),
    )


class _Counting:
    """A segmenter that counts what it finds."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.instances = 0

    @property
    def info(self) -> SegmenterInfo:
        return self._segmenter.info

    def warm_up(self, image_size: tuple[int, int]) -> None:
        self._segmenter.warm_up(image_size)

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        found = self._segmenter(images)
        self.instances += sum(map(len, found))
        return found


def _record(video: Path, path: Path, settings: StoreBenchmark) -> int:
    config = RunConfig(engine=EngineConfig(weights=settings.weights), max_frames=settings.frames_max)
    counting = _Counting(build_segmenter(config.engine))
    record_drive({"camera": video}, path, config, build=lambda: counting)
    return counting.instances


def _measure(source: Path, path: Path, settings: StoreBenchmark) -> dict[str, Any]:
    files = [file for file in path.rglob("*") if file.is_file()]
    cameras = {name: camera for name, camera in open_drive(path).items() if len(camera)}
    if not cameras:
        raise InputError(f"{path} holds no frame: there is nothing to measure.")
    epochs = [epoch for camera in cameras.values() for epoch in camera.epochs]
    raw = sum(len(epoch) * epoch.info.image_size[0] * epoch.info.image_size[1] * 4 for epoch in epochs)
    stored = sum(file.stat().st_size for file in files)
    random = np.random.default_rng(settings.seed)
    places = [(name, position) for name, camera in cameras.items() for position in range(len(camera))]
    frame_ms = [
        _cold_ms(path, files, partial(_read_frame, *places[n]))
        for n in random.integers(len(places), size=settings.reads)
    ]
    tracks = [(name, track.track_id) for name, camera in cameras.items() for track in camera.tracks()]
    chosen = [tracks[n] for n in random.permutation(len(tracks))[: settings.tracks]]
    track_ms = [_cold_ms(path, files, partial(_read_track, *track)) for track in chosen]
    sizes = [_track_bytes(open_drive(path)[name], track_id) for name, track_id in chosen]
    return {
        "source": source.name,
        "frames": len(places),
        "instances": sum(epoch.extent.instances for epoch in epochs),
        "stored_bytes": stored,
        "raw_bytes": raw,
        "share": round(stored / raw, 6),
        "frame_ms_median": median(frame_ms),
        "frame_ms_p95": round(float(np.percentile(frame_ms, 95)), 4),
        "track_ms_median": median(track_ms) if chosen else None,
        "track_bytes_read": median([read for read, _ in sizes]) if chosen else None,
        "track_bytes_own": median([own for _, own in sizes]) if chosen else None,
    }


def _read_frame(name: str, position: int, path: Path) -> None:
    camera = open_drive(path)[name]
    camera.frame(position)
    camera.id_map(position)


def _read_track(name: str, track_id: int, path: Path) -> None:
    open_drive(path)[name].track(track_id)


def _cold_ms(path: Path, files: Sequence[Path], read: Callable[[Path], None]) -> float:
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    start = time.perf_counter()
    read(path)
    return (time.perf_counter() - start) * 1e3


def _track_bytes(camera: CameraReader, track_id: int) -> tuple[int, int]:
    """Returns the bytes of mask data that reading a track takes, and those of its own masks."""
    own = sum(int(np.diff(epoch.rle_offsets)[epoch.track_id == track_id].sum()) for epoch in camera.epochs)
    camera.track(track_id)
    return sum(epoch.bytes_read[_MASKS] for epoch in camera.epochs), own
