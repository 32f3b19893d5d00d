"""Reads one epoch: only what is committed, and only what is asked for."""

from __future__ import annotations

from collections import Counter
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError, StoreCorruptError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.distance.distances import Distances
from roadmask.streaming.store.layout import (
    ALL_ARRAYS,
    DISTANCE_ARRAYS,
    METADATA,
    RLE_CHUNK,
    RLE_SHARD,
    ROWS_PER_CHUNK,
    EpochInfo,
    Extent,
    is_group,
    row_shape,
)
from roadmask.streaming.store.stored_array import StoredArray


class EpochReader:
    """The committed frames of one epoch. Positions count from the first frame of the epoch."""

    def __init__(self, folder: Path, info: EpochInfo, extent: Extent) -> None:
        """Not meant to be called: use `CameraReader.epochs`."""
        self.folder = folder
        self.info = info
        self.extent = extent
        self.bytes_read: Counter[str] = Counter()
        """Number of bytes of chunks and shard indices read so far, by array."""
        self._forget()

    def __len__(self) -> int:
        return self.extent.frames

    def __repr__(self) -> str:
        height, width = self.info.image_size
        return f"EpochReader({self.folder.parent.name}/{self.info.epoch}: {len(self)} frames of {width} x {height})"

    def _forget(self) -> None:
        """Starts with nothing read."""
        self._arrays: dict[str, StoredArray] = {}
        self._block = lru_cache(maxsize=32)(self._read_block)

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: getattr(self, name) for name in ("folder", "info", "extent", "bytes_read")
        }  # nothing that was read

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def array(self, name: str) -> StoredArray:
        """Returns one of `ALL_ARRAYS` with all its rows, including those that are not committed.

        Raises:
            StoreCorruptError: the array is missing, too short, or of another dtype or shape than the layout requires.
        """
        if name not in self._arrays:
            spec = ALL_ARRAYS[name]
            array = StoredArray.open(self.folder / name)
            shape, tail = array.shape, row_shape(name, self.info.image_size)
            if array.dtype != spec.dtype or shape[1:] != tail or shape[0] < self.extent.rows(spec):
                raise StoreCorruptError(
                    f"{array.folder / METADATA}: expected {spec.dtype} ({self.extent.rows(spec)} or more, "
                    f"{', '.join(map(str, tail))}), got {array.dtype} {shape}."
                )
            self._arrays[name] = array
        return self._arrays[name]

    def has(self, name: str) -> bool:
        """Whether the epoch has an array; it may lack those of `ALL_ARRAYS` that are optional."""
        return (self.folder / name / METADATA).is_file()

    def unknown_arrays(self) -> list[str]:
        """Returns the names of arrays that are not in `ALL_ARRAYS`, which a later roadmask may have written."""
        found = (path.parent.relative_to(self.folder).as_posix() for path in self.folder.rglob(METADATA))
        return sorted(name for name in found if name not in ALL_ARRAYS and not is_group(self.folder / name))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Reads committed rows of one of `ALL_ARRAYS`.

        Raises:
            StoreCorruptError: its files cannot be read back.
        """
        end = self.extent.rows(ALL_ARRAYS[name])
        stop = end if stop is None else min(stop, end)
        if start >= stop:
            return np.zeros((0, *row_shape(name, self.info.image_size)), ALL_ARRAYS[name].dtype)
        rows, size = self.array(name).read(start, stop)
        self.bytes_read[name] += size
        return rows

    def files(self, name: str, start: int, stop: int) -> dict[Path, tuple[int, int]]:
        """Returns the files that hold rows start to stop of an array, each with its range of rows.

        Raises:
            StoreCorruptError: the array cannot be opened.
        """
        array = self.array(name)
        rows, end = array.file_rows, self.extent.rows(ALL_ARRAYS[name])
        return {
            array.file(number): (number * rows, min((number + 1) * rows, end))
            for number in range(start // rows, -(-stop // rows))
        }

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Reads a few rows of a small array through a cache, since neighbouring rows are likely to be read next.

        Raises:
            StoreCorruptError: its files cannot be read back.
        """
        first, last = start // ROWS_PER_CHUNK, max(start, stop - 1) // ROWS_PER_CHUNK
        blocks = np.concatenate([self._block(name, number) for number in range(first, last + 1)])
        return blocks[start - first * ROWS_PER_CHUNK : stop - first * ROWS_PER_CHUNK]

    def _read_block(self, name: str, number: int) -> NDArray[Any]:
        return self.read(name, number * ROWS_PER_CHUNK, (number + 1) * ROWS_PER_CHUNK)

    @cached_property
    def propagated(self) -> bool:
        """Whether the epoch may hold instances that were propagated from other frames."""
        return self.has("instances/since_detected_ns")

    @cached_property
    def frame_index(self) -> NDArray[np.int64]:
        """(T,) capture counts of the frames."""
        return self.read("frames/frame_index")

    @cached_property
    def timestamp_ns(self) -> NDArray[np.int64]:
        """(T,) capture times of the frames in nanoseconds."""
        return self.read("frames/timestamp_ns")

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(T + 1,) edges between frames: the instances of frame t are offsets[t]:offsets[t + 1]."""
        return self.read("instances/offsets")

    @cached_property
    def track_id(self) -> NDArray[np.int64]:
        """(N,) track ids of the instances; 0 for none."""
        return self.read("instances/track_id")

    @cached_property
    def category_id(self) -> NDArray[np.int64]:
        """(N,) COCO category ids of the instances."""
        return self.read("instances/category_id").astype(np.int64)

    @cached_property
    def area(self) -> NDArray[np.int64]:
        """(N,) areas of the masks in pixels; computed from the run lengths where the epoch does not store them."""
        if self.has("instances/area"):
            return self.read("instances/area")
        masks = self.masks(np.arange(self.extent.instances))
        return np.array([int(mask.area[0]) for mask in masks], np.int64)

    @cached_property
    def rle_offsets(self) -> NDArray[np.int64]:
        """(N + 1,) edges between masks: the run lengths of instance n are rle[rle_offsets[n]:rle_offsets[n + 1]]."""
        return self.read("instances/rle_offsets")

    @cached_property
    def frame_of_instance(self) -> NDArray[np.int64]:
        """(N,) positions of the frames of the instances."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def id_map(self, position: int) -> NDArray[np.uint32]:
        """Returns the (H, W) id map of a frame."""
        image: NDArray[np.uint32] = self.read("id_map", position, position + 1)[0]
        return image

    def frame(self, position: int) -> tuple[Instances, NDArray[np.int64], NDArray[np.uint8]]:
        """Returns the instances of a frame with their track ids and states."""
        start, stop = map(int, self.rows("instances/offsets", position, position + 2))
        edges = self.rows("instances/rle_offsets", start, stop + 1)
        data = self.read("instances/rle", int(edges[0]), int(edges[-1])).tobytes()
        counts = tuple(data[a - edges[0] : b - edges[0]] for a, b in pairwise(edges))
        since = self.rows("instances/since_detected_ns", start, stop) if self.propagated else None
        try:
            instances = Instances(
                self.info.image_size,
                self.rows("instances/box", start, stop),
                self.rows("instances/score", start, stop),
                self.rows("instances/category_id", start, stop).astype(np.int64),
                RleMasks(counts, self.info.image_size),
                since_detected_ns=since,
            )
        except InstancesError as error:
            raise StoreCorruptError(f"{self.folder}, frame {position}: {error}") from error
        return instances, self.rows("instances/track_id", start, stop), self.rows("instances/state", start, stop)

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the camera for images of this epoch; None where it was not calibrated.

        Raises:
            CalibrationError: what is stored is none.
        """
        stored = self.info.info.get("calibration")
        return None if stored is None else Calibration.from_dict(stored)

    def distances(self, position: int) -> Distances | None:
        """Returns the distances of a frame's instances; None where the camera was not calibrated."""
        if not self.has("instances/distance"):
            return None
        start, stop = map(int, self.rows("instances/offsets", position, position + 2))
        return Distances(*(self.rows(name, start, stop) for name in DISTANCE_ARRAYS))

    def masks(self, instances: NDArray[np.int64]) -> list[RleMasks]:
        """Returns the masks of some instances, reading only the chunks that hold them.

        Args:
            instances: (M,) ascending indices among the instances of the epoch.
        """
        starts, stops = self.rle_offsets[instances], self.rle_offsets[instances + 1]
        masks = []
        at, held, data = -1, 0, b""
        for group in _neighbours(starts, stops):
            at, held = int(starts[group[0]]), int(stops[group[-1]])
            data = self.read("instances/rle", at, held).tobytes()
            masks += [RleMasks((data[starts[n] - at : stops[n] - at],), self.info.image_size) for n in group]
        return masks


def _neighbours(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> list[range]:
    """Groups byte ranges that are read together: those in the same or in adjacent chunks."""
    if not len(starts):
        return []
    apart = starts[1:] // RLE_CHUNK > (stops[:-1] - 1) // RLE_CHUNK + 1
    far = starts[1:] // RLE_SHARD > starts[:-1] // RLE_SHARD  # limits the memory
    cuts = [0, *(np.flatnonzero(apart | far) + 1).tolist(), len(starts)]
    return [range(a, b) for a, b in pairwise(cuts)]
