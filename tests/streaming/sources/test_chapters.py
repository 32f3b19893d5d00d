"""Files of one drive are joined in time, whatever the order they are given in."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.sources import open_camera
from support.video_factory import numbers, times_ms, write_clip


class TestChapters:
    def test_join_by_creation_time_whatever_the_order_given(self, tmp_path: Path) -> None:
        late = write_clip(tmp_path / "a.mp4", range(25, 50), created="2026-01-01T10:00:01Z")
        early = write_clip(tmp_path / "b.mp4", range(25), created="2026-01-01T10:00:00Z")
        source = open_camera("front", [str(late), str(early)])
        items = list(source)
        assert numbers(items) == list(range(50))
        assert times_ms(items) == [40 * i for i in range(50)]
        assert {item.epoch for item in items} == {0}
        assert [file["name"] for file in source.describe()["files"]] == ["b.mp4", "a.mp4"]
        assert source.describe()["recorded_at"] == "2026-01-01T10:00:00+00:00", "of the first chapter"
        assert source.frames_expected == source.captured == 50

    @pytest.mark.parametrize(
        ("created", "recorded_at"),
        [
            (None, None),
            ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00+00:00"),
            ("2026-01-01T10:00:00+02:00", "2026-01-01T08:00:00+00:00"),
        ],
    )
    def test_the_start_of_the_recording_is_told_where_the_container_states_it(
        self, tmp_path: Path, created: str | None, recorded_at: str | None
    ) -> None:
        clip = write_clip(tmp_path / "a.mp4", range(3), created=created)
        assert open_camera("front", [str(clip)]).describe()["recorded_at"] == recorded_at

    def test_a_gap_starts_the_next_epoch_and_keeps_its_time(self, tmp_path: Path) -> None:
        first = write_clip(tmp_path / "a.mp4", range(5), created="2026-01-01T10:00:00Z")
        second = write_clip(tmp_path / "b.mp4", range(5), created="2026-01-01T10:01:00Z")
        items = list(open_camera("front", [str(first), str(second)]))
        assert [item.epoch for item in items] == [0] * 5 + [1] * 5
        assert times_ms(items)[5:] == [60_000 + 40 * i for i in range(5)]
        assert [item.frame_index for item in items] == list(range(10))

    def test_rounded_creation_times_leave_no_gap(self, tmp_path: Path) -> None:
        first = write_clip(tmp_path / "a.mp4", range(25), created="2026-01-01T10:00:00Z")
        second = write_clip(tmp_path / "b.mp4", range(25), created="2026-01-01T10:00:02Z")
        items = list(open_camera("front", [str(first), str(second)]))
        assert {item.epoch for item in items} == {0}
        assert times_ms(items) == [40 * i for i in range(50)]

    @pytest.mark.parametrize("created", [None, "2026-01-01T10:00:00Z"])  # the second: all share the drive's start
    def test_without_creation_times_of_their_own_they_follow_as_given(
        self, tmp_path: Path, created: str | None
    ) -> None:
        second = write_clip(tmp_path / "a.mp4", range(3, 6), created=created)
        first = write_clip(tmp_path / "b.mp4", range(3), created=created)
        items = list(open_camera("front", [str(first), str(second)]))
        assert numbers(items) == list(range(6))
        assert {item.epoch for item in items} == {0}

    def test_glob_is_in_natural_order(self, tmp_path: Path) -> None:
        for chapter in (1, 2, 10):
            write_clip(tmp_path / f"drive{chapter}.mp4", [chapter])
        assert numbers(list(open_camera("front", [str(tmp_path / "*.mp4")]))) == [1, 2, 10]

    def test_another_size_starts_the_next_epoch(self, tmp_path: Path) -> None:
        write_clip(tmp_path / "1.mp4", range(2))
        write_clip(tmp_path / "2.mp4", range(2), size=(64, 128))
        items = list(open_camera("front", [str(tmp_path / "*.mp4")]))
        assert [item.epoch for item in items] == [0, 0, 1, 1]
        assert times_ms(items) == [0, 40, 80, 120]
