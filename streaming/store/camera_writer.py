"""The writer of one camera."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import zarr

from roadmask.engines.errors import InputError, StoreError, StoreExistsError
from roadmask.streaming.camera_names import check_camera_name
from roadmask.streaming.frames import Clock
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store.config import DEFAULT_STORE_CONFIG, StoreConfig
from roadmask.streaming.store.files import DurableStore, WriterLock
from roadmask.streaming.store.layout import LEDGER, METADATA, EpochInfo, Extent, json_data, read_attributes, started_at
from roadmask.streaming.store.open_epoch import OpenEpoch, create_epoch
from roadmask.streaming.store.resuming import EarlierRun, committed_camera, remove_trackers, tracker_bytes, tracker_file
from roadmask.streaming.store.rows import frame_rows, storable_masks
from roadmask.tracking import TrackerState, Tracks

ORPHAN_WAIT_S = 30.0
"""Maximum time in seconds that a resumed camera waits for the writer of a killed run, which may outlive it on Ray."""


class CameraWriter:
    """Writes one camera into its own group of an existing store.

    Frames are buffered and committed one shard at a time, because each commit costs several flushes of the disk.
    Memory: one shard of compressed id maps and a megabyte of run lengths, twice that during a commit.

    Its arguments can be pickled, so that it can be built in a process of its own.

    Args:
        path: the store.
        camera: name of the camera.
        store_config: how the store is divided into files; the same for all cameras of a store.
        resume: continue after the last commit where an earlier run wrote the camera, and start it otherwise. Waits for
            a writer that outlived its run.

    Raises:
        StoreExistsError: the camera exists already and `resume` is false.
        StoreResumeError: the camera was written without the state of its tracker.
        StoreLockedError: another writer holds the camera.
        StoreError: there is no store, or it cannot be written.
        InputError: the name cannot be used for a camera.
    """

    def __init__(
        self, path: Path, camera: str, store_config: StoreConfig = DEFAULT_STORE_CONFIG, *, resume: bool = False
    ) -> None:
        path = Path(path)
        self.camera = check_camera_name(camera)
        self.folder = path / camera
        self.ledger = Ledger()
        """Outcomes of the frames so far."""
        self._config = store_config
        self._extents: dict[int, Extent] = {}
        self._removed = 0
        self._epoch: OpenEpoch | None = None
        self._last_index = -1
        self._tracker: TrackerState | None = None
        self._closed = self._torn = False
        self.earlier = EarlierRun()
        """What is committed of the camera by an earlier run; nothing unless it is resumed."""
        if not (path / METADATA).is_file():
            raise StoreError(f"expected a store at {path}, found none: create it with MaskStore.create first.")
        drive = read_attributes(path)
        self._category_ids = frozenset(int(category_id) for category_id in drive["class_names"])
        self._recording_start = started_at(drive, camera)
        if (self.folder / METADATA).exists() and not resume:
            raise StoreExistsError(f"camera {camera!r} already exists in {path}: use another name or another --out.")
        self._store = DurableStore(path)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}.") from error
        self._lock = WriterLock(self.folder / ".writer.lock", self.folder, ORPHAN_WAIT_S if resume else 0)
        try:
            if (self.folder / METADATA).exists():
                self._resume()
            else:
                self._written = self._attributes()
                self._group = zarr.create_group(self._store, path=camera, attributes=self._written)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> CameraWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @property
    def epoch(self) -> EpochInfo | None:
        """The epoch that the next frame is written to; None before `start_epoch`."""
        return None if self._epoch is None else self._epoch.info

    def start_epoch(
        self, epoch: int, image_size: tuple[int, int], clock: Clock, info: dict[str, Any] | None = None
    ) -> None:
        """Commits the current epoch and starts another, with its own image size, rotation and clock.

        Args:
            epoch: number of the epoch, above that of the previous one.
            image_size: height and width of its images in pixels.
            clock: origin of its timestamps.
            info: further properties stated by the source, as JSON data.

        Raises:
            InputError: the number does not rise, or `info` is not JSON data.
            StoreError: the store cannot be written.
        """
        self._require_open()
        before = max(self._extents, default=-1)
        if epoch <= before:
            raise InputError(
                f"camera {self.camera!r}: expected an epoch above {before}, got {epoch}: number epochs in order."
            )
        self.commit()
        described = EpochInfo(epoch, image_size, clock, json_data(info or {}, f"info of epoch {epoch}"))
        create_epoch(self._store, self.camera, described, self._config)
        opened = OpenEpoch.of(self._store, self.camera, described, Extent(), self._config)
        self._write_attributes({epoch: Extent()})
        self._epoch = opened

    def append(self, frame_index: int, timestamp_ns: int, tracks: Tracks, tracker: TrackerState | None = None) -> None:
        """Appends the tracks of the next frame; commits when a shard is full.

        Args:
            frame_index: capture count of the camera, above that of the previous frame.
            timestamp_ns: capture time in nanoseconds, after that of the previous frame in this epoch.
            tracks: tracks of the frame, with masks.
            tracker: state of the tracker right after this frame; without it the camera cannot be resumed.

        Raises:
            InputError: no epoch was started, or the frame does not follow the previous one.
            InstancesError: masks are missing or do not fit the images of the epoch, or an id does not fit into uint32.
            StoreError: the store cannot be written; frames stay buffered and a later `commit` may succeed.
        """
        self._require_open()
        epoch = self._epoch
        if epoch is None:
            raise InputError(f"camera {self.camera!r}: expected an epoch before the first frame: call start_epoch.")
        if frame_index <= self._last_index:
            raise InputError(
                f"camera {self.camera!r}: expected a frame_index above {self._last_index}, got {frame_index}: append "
                f"frames in the order of capture."
            )
        if epoch.last_timestamp_ns is not None and timestamp_ns <= epoch.last_timestamp_ns:
            raise InputError(
                f"camera {self.camera!r}, frame {frame_index}: expected a time after {epoch.last_timestamp_ns} ns, got "
                f"{timestamp_ns} ns: start another epoch when the clock changes."
            )
        if epoch.full:  # an earlier commit failed
            self.commit()
        masks = storable_masks(frame_index, tracks, epoch.info, self._category_ids)
        rows = frame_rows(frame_index, timestamp_ns, tracks, masks, epoch.end)
        with self._whole():
            epoch.push(rows, masks)
            epoch.last_timestamp_ns, self._last_index = timestamp_ns, frame_index
            self._tracker = tracker
            self.ledger.stored += 1
        if epoch.full:
            self.commit()

    def count_lost(self, state: Literal["dropped", "failed"], reason: str) -> None:
        """Counts a frame that is not stored, in its order among appended frames and other losses."""
        counts = self.ledger.dropped if state == "dropped" else self.ledger.failed
        counts[reason] = counts.get(reason, 0) + 1

    def commit(self) -> None:
        """Makes everything that was appended readable and safe from a crash.

        Raises:
            StoreError: the store cannot be written; what was committed before still opens.
        """
        self._require_open()
        epoch = self._epoch
        waiting = epoch if epoch is not None and epoch.waiting else None
        if waiting is None and self._attributes() == self._written:  # no frames were lost either
            return
        self._lock.require_held()
        tracker = tracker_file(self.ledger.accounted)
        with self._whole():
            with self._store.commit():
                if waiting is not None:
                    waiting.write()
                if self._tracker is not None:
                    self._store.write_file(f"{self.camera}/{tracker}", tracker_bytes(self._tracker))
            self._write_attributes({} if waiting is None else {waiting.info.epoch: waiting.end})
            if waiting is not None:
                waiting.mark_committed()
        remove_trackers(self.folder, keep=tracker)

    def remove_epochs(self, epochs: Collection[int]) -> None:
        """Removes whole epochs from the store, for live cameras of which only the newest hours are kept.

        Their frames stay in the ledger as stored, and are counted as `removed`. Readers that opened the camera before
        can no longer read them.

        Args:
            epochs: committed epochs to remove; not the current one.

        Raises:
            InputError: an epoch is the current one or does not exist.
            StoreError: the store cannot be written.
        """
        self._require_open()
        current = None if self._epoch is None else self._epoch.info.epoch
        for epoch in epochs:
            if epoch == current or epoch not in self._extents:
                raise InputError(f"camera {self.camera!r}: expected an earlier epoch to remove, got {epoch}.")
        if not epochs:
            return
        self.commit()
        before = self._extents, self._removed
        self._removed += sum(self._extents[epoch].frames for epoch in epochs)
        self._extents = {epoch: extent for epoch, extent in self._extents.items() if epoch not in epochs}
        try:
            # From here on nobody reads them. A crash leaves folders that no commit refers to.
            self._write_attributes({})
        except BaseException:
            self._extents, self._removed = before
            raise
        for epoch in epochs:
            shutil.rmtree(self.folder / str(epoch), ignore_errors=True)

    def close(self, captured: int | None = None) -> Ledger:
        """Commits the rest, writes the final ledger and releases the camera's lock.

        Args:
            captured: number of frames counted at the source, which the outcomes must add up to. By default, the frames
                that are accounted for here.

        Raises:
            LedgerError: the outcomes do not add up; everything that was appended is committed.
            StoreError: the store cannot be written; what was committed before still opens.
        """
        if self._closed:
            return self.ledger
        try:
            self.commit()
            self._lock.require_held()
            self.ledger.captured = self.ledger.accounted if captured is None else captured
            zarr.create_group(self._store, path=f"{self.camera}/{LEDGER}", attributes=self.ledger.to_dict())
            remove_trackers(self.folder)
        finally:
            self._closed = True
            self._epoch = None
            self._lock.release()
        self.ledger.check(self.camera)
        return self.ledger

    def suspend(self) -> Ledger:
        """Commits and releases the camera's lock without a final ledger, so that a later run can resume here.

        Raises:
            StoreError: the store cannot be written; what was committed before still opens.
        """
        if not self._closed:
            try:
                if not self._torn:
                    self.commit()
                self.ledger.captured = self.ledger.accounted
            finally:
                self._closed = True
                self._epoch = None
                self._lock.release()
        return self.ledger

    def abandon(self) -> None:
        """Commits what it can and releases the camera's lock, for a run that ends with an error of its own."""
        with suppress(StoreError):
            self.suspend()

    def _resume(self) -> None:
        """Continues after the last commit and removes what was written after it."""
        earlier = committed_camera(self.folder)
        self.earlier, self.ledger = earlier, earlier.ledger
        self._group = zarr.open_group(self._store, path=self.camera, mode="r+")
        self._extents = {epoch.info.epoch: epoch.extent for epoch in earlier.epochs}
        self._removed = earlier.removed
        self._written = self._attributes()
        self._last_index = earlier.last_index
        if earlier.finished:
            remove_trackers(self.folder)
            self._closed = True
            self._lock.release()
        elif earlier.epochs:
            last = earlier.epochs[-1]
            self._epoch = OpenEpoch.of(self._store, self.camera, last.info, last.extent, self._config)
            self._epoch.last_timestamp_ns = int(last.timestamp_ns[-1]) if len(last) else None
            self._tracker = earlier.tracker_state()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Notes whether Ctrl-C came in the middle of something: what is buffered is then no longer committed."""
        self._torn = True
        try:
            yield
        except Exception:  # these are raised on purpose, where nothing is half done
            self._torn = False
            raise
        self._torn = False

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"camera {self.camera!r} is closed: append frames before close.")

    def _write_attributes(self, extents: dict[int, Extent]) -> None:
        """The last step of a commit: one rename makes the new extents count."""
        self._lock.require_held()
        attributes = self._attributes(extents)
        self._group.attrs.put(attributes)
        self._extents |= extents
        self._written = attributes

    def _attributes(self, extents: dict[int, Extent] | None = None) -> dict[str, Any]:
        ledger = self.ledger.to_dict()
        committed = self._extents | (extents or {})
        return {
            "committed": {str(epoch): extent.to_dict() for epoch, extent in committed.items()},
            "dropped": ledger["dropped"],
            "failed": ledger["failed"],
            **({"removed": self._removed} if self._removed else {}),
            **({"recording_start": self._recording_start} if self._recording_start else {}),
        }
