"""The last minute: which images are kept and which thinned out, and the rows of the timeline."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from roadmask.streaming.page.history import History, KeptImage, TrackLog
from support.live_feed import Moving


def kept(number: int, at_ms: float, size: int = 1000, camera: str = "front") -> KeptImage:
    return KeptImage(number, number, camera, 0, at_ms, bytes(size))


def times(history: History, camera: str = "front") -> list[float]:
    return [image.at_ms for image in dict(history.by_camera())[camera]]


def test_history_that_does_not_fit_is_thinned_evenly_over_the_whole_minute() -> None:
    history = History(60, 100_000)
    for number in range(1200):  # two minutes at 10 a second, of which 100 images fit
        history.add(kept(number, number * 100.0))
        assert history.total_bytes <= 100_000
    found = times(history)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert len(found) == 100
    assert found[-1] == 119_900
    assert found[0] < 119_900 - 60_000 + 1500
    assert max(gaps) <= 2000  # evenly they would be 600 ms apart


def test_a_second_camera_gets_an_equal_share() -> None:
    history = History(60, 100_000)
    for number in range(200):
        history.add(kept(number, number * 100.0))
    for number in range(200, 500):
        for camera in ("front", "rear"):
            history.add(kept(number, number * 100.0, camera=camera))
        assert history.total_bytes <= 100_000
    assert len(times(history, "front")) == len(times(history, "rear")) == 50


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5000), st.integers(0, 5000)), max_size=60),
    st.integers(0, 9000),
)
def test_history_is_bounded_whatever_comes(steps: list[tuple[str, float, int]], limit: int) -> None:
    history, at_ms = History(10, limit), 0.0
    for number, (camera, wait_ms, size) in enumerate(steps):
        at_ms += wait_ms
        history.add(kept(number, at_ms, size, camera))
        everything = [image for _, images in history.by_camera() for image in images]
        assert history.total_bytes == sum(len(image.message) for image in everything) <= limit
        assert all(at_ms - image.at_ms <= 10_000 for image in everything)
        assert all(history.find(image.key) is image for image in everything)


def test_more_images_than_anybody_scrubs_through_are_not_kept() -> None:
    history = History(60, 10**9)
    for number in range(120):
        history.add(kept(number, number * 1000 / 120))
    assert 15 <= len(times(history)) <= 20


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
