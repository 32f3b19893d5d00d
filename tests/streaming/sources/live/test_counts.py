"""Counts of a decoder that outlive its process."""

from __future__ import annotations

from pathlib import Path

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.sources.live.counts import Counts, CountsFile


def test_counts_outlive_who_made_them(tmp_path: Path) -> None:
    writer = CountsFile(tmp_path / "counts", create=True)
    writer.write(Counts(captured=7, stale=2, handed=4, held=1, height=540, width=960))
    writer.close()
    counts = CountsFile(tmp_path / "counts").read()
    assert (counts.captured, counts.decided, counts.held, counts.size) == (7, 6, 1, (540, 960))


def test_thinned_frames_are_decided() -> None:
    assert Counts(captured=3, thinned=2, stale=1).decided == 3


def test_counts_are_a_ledger() -> None:
    ledger = Counts(captured=12, stale=4, before_keyframe=1, undecodable=1, handed=5, held=1).ledger
    assert ledger + Ledger() == Ledger(12, 0, {"stale": 4, "before_keyframe": 1}, {"decode": 1}, in_flight=6)
    assert ledger.missing == 0
