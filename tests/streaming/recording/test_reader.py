"""Reading ahead, within bounds."""

from __future__ import annotations

import time

import pytest

from roadmask.engines.errors import SourceError
from roadmask.streaming.recording import reader
from roadmask.streaming.recording.reader import Reader
from support.drives import ScriptedSource


def test_hands_on_every_item_in_order() -> None:
    with Reader(ScriptedSource("front", frames=30, lost=frozenset({4}))) as front:
        assert [item.frame_index for item in front] == list(range(30))
        assert front.captured == 30


def test_stops_after_as_many_frames_as_asked_for() -> None:
    with Reader(ScriptedSource("front", frames=30), frames_max=5) as front:
        assert [item.frame_index for item in front] == list(range(5))
        assert front.captured == 5


def test_reads_only_so_many_frames_ahead() -> None:
    source = ScriptedSource("front", frames=1000)
    with Reader(source) as front:
        items = iter(front)
        next(items)
        time.sleep(0.2)
        assert source.captured <= reader.AHEAD_FRAMES + 3  # the one taken, those queued, and the one in hand


def test_reads_only_so_many_bytes_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "AHEAD_BYTES", 2 * 48 * 96 * 3)
    source = ScriptedSource("front", frames=1000)
    with Reader(source) as front:
        next(iter(front))
        time.sleep(0.2)
        assert source.captured <= 4


def test_a_frame_above_the_budget_still_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "AHEAD_BYTES", 10)
    with Reader(ScriptedSource("front", frames=5)) as front:
        assert len(list(front)) == 5


def test_an_error_of_the_source_comes_after_its_frames() -> None:
    with Reader(ScriptedSource("front", frames=5, breaks_at=3)) as front:
        seen = []
        with pytest.raises(SourceError, match="broke at frame 3"):
            seen.extend(item.frame_index for item in front)
        assert front.captured == 3


def test_leaving_early_ends_the_thread() -> None:
    with Reader(ScriptedSource("front", frames=10_000)) as front:
        next(iter(front))
    assert not front._thread.is_alive()  # other tests may have threads of that name
