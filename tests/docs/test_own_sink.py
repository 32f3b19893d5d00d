"""The sink of the docs passes the contract of every sink, and writes a line for each confirmed instance."""

import csv
from pathlib import Path

from own_sink import CsvSink

import roadmask
from roadmask.extend import LostFrame, TrackedFrame
from roadmask.testing import SinkContract


class TestCsvSink(SinkContract):
    def make(self, folder: Path) -> CsvSink:
        return CsvSink(folder / "front.csv")

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        with (folder / "front.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        confirmed = sum(int((each.tracks.states == roadmask.TrackState.CONFIRMED).sum()) for each in written)
        assert len(rows) == confirmed
        assert {row["class"] for row in rows} <= {"car"}
