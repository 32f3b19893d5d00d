"""The writer of one camera."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from roadmask.engines.errors import InputError, InstancesError, StoreError, StoreExistsError
from roadmask.streaming.frames import Clock
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store.arrays import create_epoch
from roadmask.streaming.store.config import DEFAULT_STORE_CONFIG, StoreConfig
from roadmask.streaming.store.files import DurableStore, WriterLock
from roadmask.streaming.store.labels import decode_runs, mask_area, paint_labels
from roadmask.streaming.store.layout import (
    ARRAYS,
    LEDGER,
    METADATA,
    EpochInfo,
    Extent,
    FrameState,
    check_camera_name,
    plain,
    read_attributes,
)
from roadmask.tracking import Tracks

MAX_TRACK_ID = 2**32 - 1
"""Labels are uint32."""


@dataclass
class _Buffer:
    """The frames of an epoch that are not committed yet: at most one shard of labels."""

    labels: NDArray[np.uint32]
    rows: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: {name: [] for name in ARRAYS})
    extent: Extent = field(default_factory=Extent)

    def clear(self) -> None:
        """Forgets all frames."""
        self.rows = {name: [] for name in ARRAYS}
        self.extent = Extent()


class CameraWriter:
    """Writes one camera into its own group of an existing store.

    Frames are buffered and committed a shard at a time: zarr would rewrite a whole shard for each single frame.
    Memory: one shard of raw labels, the run lengths of its frames, and while committing the compressed shard.

    Its arguments can be pickled, so that a process of its own can build one.

    Raises:
        StoreExistsError: the camera was written before.
        StoreLockedError: another writer holds the camera.
        StoreError: there is no store, or it cannot be written.
        InputError: the name cannot name a camera.
    """

    def __init__(self, path: Path, camera: str, store_config: StoreConfig = DEFAULT_STORE_CONFIG) -> None:
        path = Path(path)
        self.camera = check_camera_name(camera)
        self.folder = path / camera
        self.ledger = Ledger()
        """What became of the frames so far."""
        self._config = store_config
        self._committed: dict[int, Extent] = {}
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._buffer: _Buffer | None = None
        self._info: EpochInfo | None = None
        self._last = (-1, -1)  # capture index and timestamp of the frame before
        self._closed = False
        if not (path / METADATA).is_file():
            raise StoreError(f"expected a store at {path}, found none: make one with MaskStore.create first.")
        self._labels = np.array([int(label) for label in read_attributes(path)["class_names"]], np.int64)
        if (self.folder / METADATA).exists():
            raise StoreExistsError(
                f"camera {camera!r} was already written to {path}: use another name or another --out."
            )
        self._store = DurableStore(path)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}.") from error
        self._lock = WriterLock(self.folder / ".writer.lock", self.folder)
        self._written = self._attributes()
        self._group = zarr.create_group(self._store, path=camera, attributes=self._written)

    def __enter__(self) -> CameraWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @property
    def epoch(self) -> EpochInfo | None:
        """The epoch that frames go into."""
        return self._info

    def start_epoch(
        self, epoch: int, image_size: tuple[int, int], clock: Clock, info: dict[str, Any] | None = None
    ) -> None:
        """Commits what is open and starts a stretch with another resolution, rotation or clock.

        Args:
            epoch: higher than that of the stretch before.
            image_size: height and width of its pictures.
            clock: what its timestamps count from.
            info: what else the source says, as plain data.

        Raises:
            InputError: the epoch does not follow the one before, or `info` is no plain data.
            StoreError: the store cannot be written.
        """
        self._require_open()
        if epoch < 0 or (self._committed and epoch <= max(self._committed)):
            raise InputError(
                f"camera {self.camera!r}: expected an epoch after {max(self._committed, default=-1)}, got {epoch}."
            )
        self.commit()
        self._info = EpochInfo(epoch, image_size, clock, plain(info or {}, f"info of epoch {epoch}"))
        self._arrays = create_epoch(self._store, self.camera, self._info, self._config)
        self._buffer = _Buffer(np.zeros((self._config.shard_frames(image_size), *image_size), np.uint32))
        self._last = (self._last[0], -(2**63))
        self._commit_extent(epoch, Extent())

    def append(self, index: int, timestamp_ns: int, tracks: Tracks) -> None:
        """Takes the tracks of the next frame; commits when they fill a shard.

        Args:
            index: capture count of the camera, above that of the frame before.
            timestamp_ns: capture time, later than that of the frame before in this epoch.
            tracks: what was seen, with masks.

        Raises:
            InputError: no epoch was started, or the frame does not follow the one before.
            InstancesError: the masks are missing or do not fit the epoch's pictures, or an id has no place in uint32.
            StoreError: the store cannot be written; frames stay buffered and a later `commit` may succeed.
        """
        self._require_open()
        buffer, info = self._buffer, self._info
        if buffer is None or info is None:
            raise InputError(f"camera {self.camera!r}: call start_epoch before the first frame.")
        if index <= self._last[0] or timestamp_ns <= self._last[1]:
            raise InputError(
                f"camera {self.camera!r}: expected a frame after #{self._last[0]} at {self._last[1]} ns, "
                f"got #{index} at {timestamp_ns} ns."
            )
        if buffer.extent.frames == self._room():  # a commit failed before
            self.commit()
        rows, runs = self._rows(index, timestamp_ns, tracks, info)
        at = (self._committed[info.epoch].frames + buffer.extent.frames) % len(buffer.labels)
        paint_labels(runs, tracks.track_ids, tracks.instances.scores, buffer.labels[at])
        for name, row in rows.items():
            buffer.rows[name].append(row)
        before = buffer.extent
        buffer.extent = Extent(
            before.frames + 1, before.instances + len(tracks), before.rle_bytes + len(rows["instances/rle"])
        )
        self._last = (index, timestamp_ns)
        self.ledger.stored += 1
        if buffer.extent.frames == self._room():
            self.commit()

    def count_lost(self, state: Literal["dropped", "failed"], reason: str) -> None:
        """Counts a frame that has no place in the store."""
        counts = self.ledger.dropped if state == "dropped" else self.ledger.failed
        counts[reason] = counts.get(reason, 0) + 1

    def commit(self) -> None:
        """Makes everything that was appended readable, and safe from a crash.

        Raises:
            StoreError: the store cannot be written; what was committed before still opens.
        """
        self._require_open()
        buffer, info = self._buffer, self._info
        if buffer is None or info is None or not buffer.extent.frames:
            if self._attributes() != self._written:  # frames were lost since
                self._write_attributes(self._attributes())
            return
        start, new = self._committed[info.epoch], buffer.extent
        end = Extent(start.frames + new.frames, start.instances + new.instances, start.rle_bytes + new.rle_bytes)
        with self._store.commit():
            for name, spec in ARRAYS.items():
                begin, stop = start.rows(spec), end.rows(spec)
                if name == "labels":
                    at = start.frames % len(buffer.labels)
                    values: NDArray[Any] = buffer.labels[at : at + new.frames]
                else:
                    values = np.concatenate(buffer.rows[name])
                array = self._arrays[name]
                array.resize((stop, *array.shape[1:]))
                if stop > begin:
                    array[begin:stop] = values
        self._commit_extent(info.epoch, end)
        buffer.clear()

    def close(self, captured: int | None = None) -> Ledger:
        """Commits the rest, writes the ledger and gives the camera back.

        Args:
            captured: frames that were counted where they left the source; the ledger must add up to it. Without it
                the frames that were accounted for here are taken as captured.

        Raises:
            LedgerError: frames went missing; everything that came was committed before.
            StoreError: the store cannot be written; what was committed before still opens.
        """
        if self._closed:
            return self.ledger
        try:
            self.commit()
            self.ledger.captured = self.ledger.accounted if captured is None else captured
            zarr.create_group(self._store, path=f"{self.camera}/{LEDGER}", attributes=self.ledger.to_dict())
        finally:
            self._closed = True
            self._buffer = None
            self._lock.release()
        self.ledger.check(self.camera)
        return self.ledger

    def abandon(self) -> None:
        """Commits what it can and gives the camera back without a ledger: for a run that ends early."""
        if self._closed:
            return
        try:
            with suppress(StoreError):  # the run already ends with an error, and that one says why
                self.commit()
        finally:
            self._closed = True
            self._buffer = None
            self._lock.release()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"camera {self.camera!r} is closed: write to it before close.")

    def _room(self) -> int:
        """Returns how many frames fit in before the open shard is full."""
        assert self._buffer is not None  # noqa: S101 - callers hold an epoch
        assert self._info is not None  # noqa: S101
        shard = len(self._buffer.labels)
        return shard - self._committed[self._info.epoch].frames % shard

    def _rows(
        self, index: int, timestamp_ns: int, tracks: Tracks, info: EpochInfo
    ) -> tuple[dict[str, NDArray[Any]], list[NDArray[np.int64]]]:
        """Returns the rows of all arrays but labels, and the decoded masks; changes nothing."""
        seen = tracks.instances
        if seen.masks is None:
            raise InstancesError(f"frame {index}: expected instances with masks, got boxes only; a store keeps masks.")
        if seen.image_size != info.image_size:
            raise InstancesError(
                f"frame {index}: expected instances in pictures of {info.image_size} (H, W), got {seen.image_size}; "
                f"start an epoch when the resolution changes."
            )
        named = tracks.track_ids[tracks.track_ids != 0]
        if len(named) and (named.min() < 0 or named.max() > MAX_TRACK_ID or len(np.unique(named)) < len(named)):
            raise InstancesError(
                f"frame {index}: expected different track ids from 1 to 2^32 - 1, got {named.tolist()}."
            )
        unknown = np.setdiff1d(seen.labels, self._labels)
        if len(unknown):
            raise InstancesError(
                f"frame {index}: the store was made for classes {self._labels.tolist()}, got {unknown.tolist()}: name "
                f"every class that may occur in class_names."
            )
        counts = seen.masks.to_rle().counts
        runs = [decode_runs(count, info.image_size) for count in counts]
        lengths = np.array([len(count) for count in counts], np.int64)
        assert self._buffer is not None  # noqa: S101 - callers hold an epoch
        before, pending = self._committed[info.epoch], self._buffer.extent
        rows: dict[str, NDArray[Any]] = {
            "frames/index": np.array([index], np.int64),
            "frames/timestamp_ns": np.array([timestamp_ns], np.int64),
            "frames/state": np.array([FrameState.STORED], np.uint8),
            "instances/offsets": np.array([before.instances + pending.instances + len(seen)], np.int64),
            "instances/box": seen.boxes,
            "instances/score": seen.scores,
            "instances/label": seen.labels.astype(np.int32),
            "instances/track_id": tracks.track_ids,
            "instances/state": tracks.states,
            "instances/area": np.array([mask_area(run) for run in runs], np.int64),
            "instances/rle_offsets": before.rle_bytes + pending.rle_bytes + np.cumsum(lengths),
            "instances/rle": np.frombuffer(b"".join(counts), np.uint8),
        }
        return rows, runs

    def _commit_extent(self, epoch: int, extent: Extent) -> None:
        """The last step of a commit: one rename makes the new extent count."""
        self._write_attributes(self._attributes({**self._committed, epoch: extent}))
        self._committed[epoch] = extent

    def _write_attributes(self, attributes: dict[str, Any]) -> None:
        self._group.attrs.put(attributes)
        self._written = attributes

    def _attributes(self, committed: dict[int, Extent] | None = None) -> dict[str, Any]:
        extents = self._committed if committed is None else committed
        ledger = self.ledger.to_dict()
        return {
            "committed": {str(epoch): extent.to_dict() for epoch, extent in extents.items()},
            "dropped": ledger["dropped"],
            "failed": ledger["failed"],
        }
