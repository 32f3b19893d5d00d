"""The rows of the timeline."""

from __future__ import annotations

from roadmask.streaming.page.track_log import TrackLog
from support.live_feed import Moving


def test_a_track_that_comes_back_has_two_spans_and_one_that_left_long_ago_none() -> None:
    log, car, person = TrackLog(60), Moving(7), Moving(9, "person")
    log.see(0, [person.at(0)])
    for at_ms in (1000, 1500, 2000, 9000, 9400):
        log.see(at_ms, [car.at(0)])
    assert [(row["id"], row["spans"]) for row in log.rows(10_000)] == [(9, [[0, 0]]), (7, [[1000, 2000], [9000, 9400]])]
    assert [(row["id"], row["spans"]) for row in log.rows(65_000)] == [(7, [[9000, 9400]])]
    assert log.rows(70_000) == []


def test_what_is_not_yet_a_track_has_no_row_and_rows_are_bounded() -> None:
    log = TrackLog(60)
    log.see(0, [Moving(0).at(0)])
    assert log.rows(0) == []
    for number in range(1, 1000):
        log.see(number, [Moving(number).at(0)])
    rows = log.rows(1000)
    assert [row["id"] for row in rows] == list(range(800, 1000))
