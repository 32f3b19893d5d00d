"""The parts of the live page that need no server: what is kept, the rows of the time line, and verdicts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadmask.streaming.live.reports import CameraState, LiveReport
from roadmask.streaming.page.feed import PageLimits
from roadmask.streaming.page.health import liveness, readiness
from roadmask.streaming.page.history import History, KeptImage
from roadmask.streaming.page.track_log import TrackLog
from support.live_feed import Moving, camera_report, image_of, run_report

LIMITS = PageLimits(report_deadline_s=5.0, masks_deadline_s=2.0)


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


@pytest.mark.parametrize(
    ("report", "age_s", "ok", "reason"),
    [
        (run_report(), 0.1, True, None),
        (None, 0.1, False, "has not reported yet"),
        (run_report(), 6.0, False, "has not reported for 6.0 s"),
        # a camera that failed spoils it, however well another does
        (
            run_report(camera_report("a"), camera_report("b", state=CameraState.FAILED, detail="unknown codec")),
            0.1,
            False,
            "b: failed: unknown codec",
        ),
        # one that may come back does not
        (
            run_report(camera_report("a"), camera_report("b", state=CameraState.RECONNECTING)),
            0.1,
            True,
            "b: reconnecting",
        ),
        (run_report(camera_report("a", state=CameraState.STALLED)), 0.1, False, "a: stalled"),
        (run_report(camera_report("a", state=CameraState.ENDED)), 0.1, False, "a: ended"),
        # live, but without masks, or with old ones
        (run_report(camera_report("a", masks_age_ms=None)), 0.1, False, "a: no masks yet"),
        (run_report(camera_report("a", masks_age_ms=2500.0)), 0.1, False, "a: masks are 2.6 s old (limit 2 s)"),
        (run_report(camera_report("a", masks_age_ms=float("nan"))), 0.1, False, "a: masks are nan s old"),
        # ages go on growing after the report
        (run_report(camera_report("a", masks_age_ms=500.0)), 1.8, False, "a: masks are 2.3 s old"),
        # a slow engine has a large budget, and masks as old as that are what was promised
        (run_report(camera_report("a", masks_age_ms=2500.0), budget_ms=900.0), 0.1, True, None),
        (LiveReport(0, 1.0, (), storing=False), 0.1, False, "no cameras"),
    ],
)
def test_readiness(report: LiveReport | None, age_s: float, ok: bool, reason: str | None) -> None:
    verdict = readiness(report, age_s, LIMITS)
    assert verdict.ok is ok
    assert (reason is None and not verdict.reasons) or any((reason or "") in one for one in verdict.reasons)
    assert liveness(report, age_s, LIMITS).ok is (report is not None and age_s < 5)


def test_images_of_the_scripted_run_carry_their_time() -> None:
    """The proof of ages rests on the barcode."""
    import cv2
    import numpy as np

    from support.live_feed import BAR, BITS, read_barcode

    captured_ns = 1_795_000_000_123_456_789
    image = image_of(captured_ns=captured_ns)
    grey = cv2.imdecode(np.frombuffer(image.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    levels = [float(grey[-BAR // 2, bit * BAR + BAR // 2]) for bit in range(BITS + 4)]
    assert read_barcode(levels) == captured_ns // 1_000_000
    levels[20] = 255 - levels[20]
    with pytest.raises(AssertionError):
        read_barcode(levels)
