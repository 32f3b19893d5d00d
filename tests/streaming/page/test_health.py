"""Verdicts on a run: is it alive, and does it do its work."""

from __future__ import annotations

import pytest

from roadmask.streaming.live.reports import CameraState, LiveReport
from roadmask.streaming.page.feed import PageLimits
from roadmask.streaming.page.health import liveness, readiness
from support.live_feed import camera_report, run_report

LIMITS = PageLimits(report_deadline_s=5.0, masks_deadline_s=2.0)


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
