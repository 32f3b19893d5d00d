"""Checks one epoch: what is stored twice must agree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines import RleMasks
from roadmask.engines.errors import InstancesError, StoreCorruptError
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.check_report import CheckReport, Problem
from roadmask.streaming.store.epoch_reader import EpochReader
from roadmask.streaming.store.id_map import paint_id_map
from roadmask.streaming.store.layout import ALL_ARRAYS, ARRAYS, METADATA, FrameState
from roadmask.streaming.store.rows import MAX_TRACK_ID
from roadmask.tracking import TrackState


class EpochCheck:
    """The check of one epoch."""

    def __init__(self, camera: CameraReader, epoch: EpochReader, report: CheckReport) -> None:
        self.camera = camera
        self.epoch = epoch
        self.report = report

    def run(self, last_index: int) -> int:
        """Checks everything; takes and returns the last frame index, which must rise across epochs."""
        self._note_arrays()
        arrays = {name: self._read(name) for name in ALL_ARRAYS if name not in ("id_map", "instances/rle")}
        rle = self._read("instances/rle")
        index = arrays["frames/frame_index"]
        self._check_frames(arrays, last_index)
        edges = [self._edges("instances/offsets", arrays), self._edges("instances/rle_offsets", arrays)]
        if all(edges):
            self._check_instances(arrays)
        self._check_masks(arrays, rle, usable=all(edges))
        return last_index if index is None or not len(index) else int(index[-1])

    def _note_arrays(self) -> None:
        """Notes optional arrays that are missing, and arrays that this version of roadmask does not know."""
        where = f"camera {self.camera.name} epoch {self.epoch.info.epoch}"
        for name, spec in ARRAYS.items():
            if not spec.required and not self.epoch.has(name):
                self.report.notes.append(f"{where} has no {name}, which is optional")
        for name in self.epoch.unknown_arrays():
            self.report.notes.append(f"{where} has {name}, which this roadmask does not know: it was not checked")

    def _read(self, name: str) -> NDArray[Any] | None:
        """Reads an array file by file; returns None where a file is broken or an optional array is missing."""
        if not ALL_ARRAYS[name].required and not self.epoch.has(name):
            return None
        end = self.epoch.extent.rows(ALL_ARRAYS[name])
        try:
            files = self.epoch.files(name, 0, end)
        except StoreCorruptError as error:
            self._problem(str(error), path=self.epoch.folder / name / METADATA)
            return None
        parts = [self.epoch.read(name, 0, 0)]
        whole = True
        for path, (start, stop) in files.items():
            try:
                parts.append(self.epoch.read(name, start, stop))
            except StoreCorruptError as error:
                self._problem(_why(error), path=path)
                whole = False
        return np.concatenate(parts) if whole else None

    def _check_frames(self, arrays: dict[str, NDArray[Any] | None], last_index: int) -> None:
        index, times, states = (arrays[f"frames/{name}"] for name in ("frame_index", "timestamp_ns", "state"))
        if index is not None:
            wrong = np.diff(index, prepend=last_index) <= 0
            self._first("frames/frame_index", wrong, "expected a frame index above that of the previous frame", index)
        if times is not None:
            wrong = np.append(False, np.diff(times) <= 0)[: len(times)]
            self._first("frames/timestamp_ns", wrong, "expected a time after that of the previous frame", times)
        if states is not None:
            self._first("frames/state", states != FrameState.STORED, "expected the state of a stored frame", states)
        captured = self.camera.ledger.captured
        if index is not None and self.camera.complete:
            wrong = index >= captured
            self._first("frames/frame_index", wrong, f"expected a frame index below {captured} captured frames", index)

    def _edges(self, name: str, arrays: dict[str, NDArray[Any] | None]) -> bool:
        """Whether the edges between items start at 0, never fall and end at the committed count."""
        edges = arrays[name]
        if edges is None:
            return False
        extent = self.epoch.extent
        total = extent.instances if name == "instances/offsets" else extent.rle_bytes
        wrong = np.append(np.diff(edges) < 0, edges[-1] != total)
        wrong[0] |= edges[0] != 0
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            message = f"expected {name} to rise from 0 to {total}, got {edges[row : row + 2].tolist()} at row {row}."
            frame = row if name == "instances/offsets" else None
            self._problem(message, frame, self._file(name, row))
        return not wrong.any()

    def _check_instances(self, arrays: dict[str, NDArray[Any] | None]) -> None:
        box, score, category_id, track_id, state = (
            arrays[f"instances/{name}"] for name in ("box", "score", "category_id", "track_id", "state")
        )
        if box is not None:
            wrong = ~np.isfinite(box).all(axis=1) | (box[:, 2:] < box[:, :2]).any(axis=1)
            self._first("instances/box", wrong, "expected x1, y1, x2, y2 with x1 <= x2 and y1 <= y2", box)
        if score is not None:
            self._first("instances/score", ~np.isfinite(score), "expected a finite score", score)
        if category_id is not None:
            wrong = ~np.isin(category_id, list(self.camera.class_names))
            self._first("instances/category_id", wrong, "expected a category id among class_names", category_id)
        since = arrays["instances/since_detected_ns"]
        if since is not None:
            self._first("instances/since_detected_ns", since < 0, "expected a time of at least 0", since)
        if state is not None:
            wrong = ~np.isin(state, [TrackState.TENTATIVE, TrackState.CONFIRMED])
            self._first("instances/state", wrong, "expected the state of a tentative or confirmed track", state)
        if track_id is not None:
            wrong = (track_id < 0) | (track_id > MAX_TRACK_ID)
            self._first("instances/track_id", wrong, "expected a track id from 0 to 2^32 - 1", track_id)
            order = np.lexsort((track_id, self.epoch.frame_of_instance))
            frames = self.epoch.frame_of_instance[order]
            again = (np.diff(track_id[order]) == 0) & (np.diff(frames) == 0) & (track_id[order][1:] > 0)
            wrong = np.zeros(len(track_id), bool)
            wrong[order[1:][again]] = True
            self._first("instances/track_id", wrong, "expected each track at most once in a frame", track_id)

    def _check_masks(self, arrays: dict[str, NDArray[Any] | None], rle: NDArray[Any] | None, *, usable: bool) -> None:
        """Reads every file of id maps and compares it with the run lengths."""
        try:
            files = self.epoch.files("id_map", 0, self.epoch.extent.frames)
        except StoreCorruptError as error:
            self._problem(str(error), path=self.epoch.folder / "id_map" / METADATA)
            return
        for path, (start, stop) in files.items():
            try:
                id_maps = self.epoch.read("id_map", start, stop)
            except StoreCorruptError as error:
                self._problem(_why(error), path=path)
                id_maps = None
            if usable and rle is not None:
                for frame in range(start, stop):
                    self._check_frame(frame, arrays, rle, None if id_maps is None else id_maps[frame - start], path)

    def _check_frame(
        self,
        frame: int,
        arrays: dict[str, NDArray[Any] | None],
        rle: NDArray[Any],
        id_maps: NDArray[np.uint32] | None,
        path: Path,
    ) -> None:
        first, last = self.epoch.offsets[frame : frame + 2].tolist()
        edges = self.epoch.rle_offsets[first : last + 1].tolist()
        counts = tuple(rle[start:stop].tobytes() for start, stop in pairwise(edges))
        masks = RleMasks(counts, self.epoch.info.image_size)
        try:
            masks.validate()
        except InstancesError as error:
            self._problem(str(error), frame, self._file("instances/rle", edges[0]))
            return
        area, track_id, score = (arrays[f"instances/{name}"] for name in ("area", "track_id", "score"))
        if area is not None:
            for n in np.flatnonzero(area[first:last] != masks.area)[:1]:
                message = f"instance {n}: expected an area of {masks.area[n]} pixels as its mask has, got "
                self._problem(f"{message}{area[first + n]}.", frame, self._file("instances/area", first + int(n)))
        if id_maps is None or track_id is None or score is None:
            return
        painted = np.empty(self.epoch.info.image_size, np.uint32)
        paint_id_map(masks, track_id[first:last], score[first:last], painted)
        if different := int((painted != id_maps).sum()):
            self._problem(f"the id map differs from the masks in {different} pixels.", frame, path)

    def _first(self, name: str, wrong: NDArray[np.bool_], expected: str, values: NDArray[Any]) -> None:
        """Reports the first wrong row, and the number of wrong rows."""
        rows = np.flatnonzero(wrong)
        if not len(rows):
            return
        row = int(rows[0])
        frame = row if name.startswith("frames/") else int(self.epoch.frame_of_instance[row])
        more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
        self._problem(f"{expected}, got {values[row].tolist()}{more}.", frame, self._file(name, row))

    def _file(self, name: str, row: int) -> Path:
        return next(iter(self.epoch.files(name, row, row + 1)))

    def _problem(self, message: str, frame: int | None = None, path: Path | None = None) -> None:
        relative = None if path is None else path.relative_to(self.report.path)
        self.report.add(Problem(message, self.camera.name, self.epoch.info.epoch, frame, relative))


def _why(error: StoreCorruptError) -> str:
    """Returns why a file cannot be read, without the advice to run this check."""
    return str(error) if error.__cause__ is None else f"cannot be read back: {error.__cause__}"
