from __future__ import annotations

import pytest

from roadmask.streaming.sources import Timeline

MS = 1_000_000


@pytest.mark.parametrize(
    ("stated", "placed"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([0, 33, 100, 101], [0, 33, 100, 101]),  # variable rate stays
        ([None, None, 80], [0, 40, 80]),  # missing times follow by one period
        ([0, 40, 40, 80], [0, 40, 60, 80]),  # a repeated one goes between
        ([0, 40, 40, 40, 120], [0, 40, 60, 80, 120]),
        ([0, 40, 39, 120], [0, 40, 60, 120]),  # jitter
        ([0, 40, 80, 120, 160, 0, 40], [0, 40, 80, 120, 160, 200, 240]),  # another recording glued on
        ([0, 40, 10_000, 10_040], [0, 40, 10_000, 10_040]),  # a pause stays
        ([-20, 20], [0, 20]),  # never before the start
    ],
)
def test_times_strictly_increase(stated: list[int | None], placed: list[int]) -> None:
    timeline = Timeline(40 * MS)
    assert [timeline.place(None if t is None else t * MS) for t in stated] == [t * MS for t in placed]


def test_a_chapter_starts_where_it_is_told() -> None:
    timeline = Timeline(40 * MS)
    timeline.place(0)
    assert timeline.end_ns == 40 * MS
    timeline.begin(1000 * MS, 100 * MS)
    assert [timeline.place(0), timeline.place(100 * MS), timeline.place(None)] == [1000 * MS, 1100 * MS, 1200 * MS]
    assert timeline.peek(500 * MS) == 1500 * MS
