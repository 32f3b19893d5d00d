"""A sink of your own: a CSV file with a line for each confirmed instance, written beside the store."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TextIO

import roadmask
from roadmask.extend import BaseSink, CameraDescription, TrackedFrame


class CsvSink(BaseSink):
    """Writes camera, time, track id, class and box of every instance of a confirmed track."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self, camera: str, description: CameraDescription) -> None:
        """Creates the file; called once, before the first frame."""
        try:
            self._file = self._path.open("x", newline="", encoding="utf-8")
        except OSError as error:
            raise roadmask.StoreError(f"cannot create {self._path}: {error.strerror}. Choose another path.") from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(["camera", "timestamp_ns", "track_id", "class", "x1", "y1", "x2", "y2"])
        self._class_names = description.class_names

    def write(self, tracked: TrackedFrame) -> None:
        """Takes the next frame; its tracks have their final ids."""
        frame, tracks = tracked.frame, tracked.tracks
        for n in (tracks.states == roadmask.TrackState.CONFIRMED).nonzero()[0]:
            name = self._class_names[int(tracks.instances.category_ids[n])]
            box = tracks.instances.boxes[n].round(1).tolist()
            self._writer.writerow([frame.camera, frame.timestamp_ns, tracks.track_ids[n], name, *box])

    def close(self, captured: int | None) -> None:
        """Finishes the file."""
        if self._file is not None:
            self._file.close()

    def abort(self) -> None:
        """Ends after an error elsewhere: the lines so far are whole, so they stay."""
        self.close(None)


if __name__ == "__main__":
    source, out = sys.argv[1:3]  # such as drive.mp4 drive.zarr
    roadmask.record_drive({"front": source}, out, sinks=lambda camera: [CsvSink(Path(f"{camera}.csv"))])
