"""Reads the frames and tracks of one camera over all its epochs."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError, PositionError, StoreCorruptError
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store.epoch_reader import EpochReader
from roadmask.streaming.store.layout import LEDGER, METADATA, EpochInfo, Extent, read_attributes
from roadmask.streaming.store.records import Sighting, StoredFrame, TrackSummary, TrackView

_EPOCH_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_READ_LATER = ("_instances", "_rows_by_track")
"""Properties that are read when they are first used."""


class CameraReader:
    """One camera of a drive, as of its last commit when it was opened.

    Stored frames have positions from 0 to `len(camera) - 1`, over all epochs; -1 is the last one. Where frames were
    lost, the position is lower than the frame index; `position_of` converts. A camera is a sequence of its frames, and
    can be pickled, for instance by the workers of a torch `DataLoader`; a copy reads what the original reads.
    """

    def __init__(self, folder: Path, class_names: Mapping[int, str]) -> None:
        """Not meant to be called: use `open_drive`."""
        self.name = folder.name
        self.folder = folder
        self.class_names = class_names
        attributes = read_attributes(folder)
        try:
            committed = {int(epoch): Extent.from_dict(extent) for epoch, extent in attributes["committed"].items()}
            lost = {"dropped": attributes["dropped"], "failed": attributes["failed"]}
            self.removed = int(attributes.get("removed", 0))
            """Number of frames that were stored and removed again, the oldest ones of a live camera (`live --keep`)."""
            start = attributes.get("recording_start")
            self.recording_start = None if start is None else datetime.fromisoformat(start)
            """Wall clock of time 0 of the media clock, as the recording states it; None where it does not."""
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreCorruptError(
                f"{folder / METADATA}: expected `committed` by epoch, got {attributes}. Restore it from a copy."
            ) from error
        self.epochs = [
            EpochReader(folder / str(epoch), EpochInfo.from_dict(epoch, read_attributes(folder / str(epoch))), extent)
            for epoch, extent in sorted(committed.items())
        ]
        """Epochs in the order of time."""
        self._edges = [0, *accumulate(len(epoch) for epoch in self.epochs)]
        self.complete = (folder / LEDGER / METADATA).is_file()
        """Whether the camera was closed; otherwise it is being written, or its run was killed."""
        stored = self._edges[-1] + self.removed
        self.ledger = (
            Ledger.from_dict(read_attributes(folder / LEDGER))
            if self.complete
            else Ledger.from_dict({"captured": 0, "stored": stored, **lost})
        )
        """Outcomes of its frames; unless the camera is complete, `captured` counts only those accounted for."""
        if not self.complete:
            self.ledger.captured = self.ledger.accounted

    def __len__(self) -> int:
        return self._edges[-1]

    def __repr__(self) -> str:
        return f"CameraReader({self.name}: {len(self)} frames in {len(self.epochs)} epochs)"

    def __iter__(self) -> Iterator[StoredFrame]:
        return map(self.frame, range(len(self)))

    def __getitem__(self, position: int) -> StoredFrame:
        return self.frame(position)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _READ_LATER}

    def wall_clock(self, timestamp_ns: int, epoch: int) -> datetime | None:
        """Returns a timestamp of an epoch as wall-clock time in UTC, to a microsecond; None where it is not known."""
        clock = next((each.info.clock for each in self.epochs if each.info.epoch == epoch), None)
        if clock == "unix":
            return _EPOCH_1970 + timedelta(microseconds=timestamp_ns // 1000)
        if clock == "media" and self.recording_start is not None:
            return self.recording_start + timedelta(microseconds=timestamp_ns // 1000)
        return None

    def frame(self, position: int) -> StoredFrame:
        """Returns the frame at a position; negative positions count from the end.

        Raises:
            InputError: there is no frame at the position.
            StoreCorruptError: its files cannot be read back.
        """
        number, at = self._find(position)
        epoch = self.epochs[number]
        instances, track_ids, states = epoch.frame(at)
        return StoredFrame(
            self._edges[number] + at,
            int(epoch.rows("frames/frame_index", at, at + 1)[0]),
            int(epoch.rows("frames/timestamp_ns", at, at + 1)[0]),
            epoch.info.epoch,
            instances,
            track_ids,
            states,
            epoch.distances(at),
        )

    def id_map(self, position: int) -> NDArray[np.uint32]:
        """Returns the (H, W) id map of the frame at a position, as `frame` takes it; 0 where no track is.

        Raises:
            InputError: there is no frame at the position.
            StoreCorruptError: its files cannot be read back.
        """
        number, at = self._find(position)
        return self.epochs[number].id_map(at)

    def position_of(self, frame_index: int) -> int:
        """Returns the position of the frame with a capture count.

        Raises:
            InputError: the frame was lost or never captured.
        """
        for start, epoch in zip(self._edges, self.epochs, strict=False):
            at = int(np.searchsorted(epoch.frame_index, frame_index))
            if at < len(epoch) and epoch.frame_index[at] == frame_index:
                return start + at
        raise InputError(
            f"camera {self.name!r} has no frame with frame_index {frame_index}: it was lost or never captured."
        )

    def track(self, track_id: int) -> TrackView:
        """Returns all sightings of a track, without reading the masks of other tracks.

        Raises:
            InputError: there is no such track.
            StoreCorruptError: its files cannot be read back.
        """
        sightings: list[Sighting] = []
        for start, epoch in zip(self._edges, self.epochs, strict=False):
            rows = np.flatnonzero(epoch.track_id == track_id) if track_id > 0 else np.zeros(0, np.int64)
            if not len(rows):
                continue
            first, last = int(rows[0]), int(rows[-1]) + 1
            boxes = epoch.read("instances/box", first, last)[rows - first]
            scores = epoch.read("instances/score", first, last)[rows - first]
            states = epoch.read("instances/state", first, last)[rows - first]
            name = "instances/since_detected_ns"
            since = epoch.read(name, first, last)[rows - first] if epoch.propagated else np.zeros(len(rows), np.int64)
            frames = epoch.frame_of_instance[rows]
            masks = epoch.masks(rows)
            sightings += [
                Sighting(
                    start + int(frames[n]),
                    int(epoch.frame_index[frames[n]]),
                    int(epoch.timestamp_ns[frames[n]]),
                    epoch.info.epoch,
                    boxes[n],
                    float(scores[n]),
                    int(epoch.category_id[rows[n]]),
                    int(states[n]),
                    masks[n],
                    int(since[n]),
                )
                for n in range(len(rows))
            ]
        if not sightings:
            raise InputError(f"camera {self.name!r} has no track {track_id}: tracks() lists the tracks of the camera.")
        category_id = Counter(sighting.category_id for sighting in sightings).most_common(1)[0][0]
        return TrackView(track_id, category_id, self.class_name(category_id), tuple(sightings))

    def tracks(self) -> list[TrackSummary]:
        """Returns a summary of each track, by id, without reading any mask."""
        _, category_ids, positions, times = self._instances
        summaries = []
        for track_id, rows in self._rows_by_track.items():
            category_id = Counter(category_ids[rows].tolist()).most_common(1)[0][0]
            first, last = rows[0], rows[-1]
            summaries.append(
                TrackSummary(
                    track_id,
                    category_id,
                    self.class_name(category_id),
                    len(rows),
                    int(positions[first]),
                    int(positions[last]),
                    int(times[first]),
                    int(times[last]),
                )
            )
        return summaries

    def track_positions(self) -> dict[int, NDArray[np.int64]]:
        """Returns the positions of the frames of each track, by id, without reading any mask."""
        positions = self._instances[2]
        return {track_id: positions[rows] for track_id, rows in self._rows_by_track.items()}

    def class_name(self, category_id: int) -> str:
        """Returns the name of a COCO category id."""
        return self.class_names.get(category_id, f"class {category_id}")

    @cached_property
    def _instances(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(N,) track ids, category ids, frame positions and timestamps over all epochs."""
        columns: list[list[NDArray[np.int64]]] = [[np.zeros(0, np.int64)] for _ in range(4)]
        for start, epoch in zip(self._edges, self.epochs, strict=False):
            frames = epoch.frame_of_instance
            parts = (epoch.track_id, epoch.category_id, start + frames, epoch.timestamp_ns[frames])
            for column, part in zip(columns, parts, strict=True):
                column.append(part)
        ids, category_ids, positions, times = map(np.concatenate, columns)
        return ids, category_ids, positions, times

    @cached_property
    def _rows_by_track(self) -> dict[int, NDArray[np.int64]]:
        """Rows of `_instances` by track id, in the order of time."""
        ids = self._instances[0]
        order = np.argsort(ids, kind="stable")
        found, starts = np.unique(ids[order], return_index=True)
        groups = np.split(order, starts[1:])
        return {int(track_id): rows for track_id, rows in zip(found, groups, strict=False) if track_id > 0}

    def _find(self, position: int) -> tuple[int, int]:
        """Returns the place of an epoch in `epochs`, and the position within it."""
        if not -len(self) <= position < len(self):
            expected = f"a position from {-len(self)} to {len(self) - 1}" if len(self) else "a camera with frames"
            raise PositionError(f"camera {self.name!r}: expected {expected}, got position {position}.")
        position %= len(self)
        number = bisect_right(self._edges, position) - 1
        return number, position - self._edges[number]
