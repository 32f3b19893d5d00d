"""Whether the run is alive, and whether it does its work."""

from __future__ import annotations

from dataclasses import dataclass

from roadmask.streaming.live.reports import CameraReport, CameraState, LiveReport
from roadmask.streaming.page.feed import PageLimits

_BUDGETS = 3
"""Masks older than this many latency budgets are late, if that is more than the deadline."""


@dataclass(frozen=True)
class Health:
    """A verdict with its reasons."""

    ok: bool
    """Whether all is well."""
    reasons: tuple[str, ...]
    """Why it is not; or, if it is, what could be better."""


def liveness(report: LiveReport | None, age_s: float, limits: PageLimits) -> Health:
    """Returns whether the run still reports."""
    if age_s > limits.report_deadline_s:
        return Health(False, (f"the run has not reported for {age_s:.1f} s (limit {limits.report_deadline_s:g} s)",))
    if report is None:
        return Health(False, ("the run has not reported yet",))
    return Health(True, ())


def readiness(report: LiveReport | None, age_s: float, limits: PageLimits) -> Health:
    """Returns whether masks are produced: no camera has failed, and at least one is live with fresh masks."""
    alive = liveness(report, age_s, limits)
    if report is None or not alive.ok:
        return alive
    if not report.cameras:
        return Health(False, ("the run has no cameras",))
    failed = [_sentence(camera) for camera in report.cameras if camera.state is CameraState.FAILED]
    deadline_ms = max(limits.masks_deadline_s * 1000, _BUDGETS * (report.budget_ms or 0.0))
    late = {camera.camera: _why_late(camera, age_s, deadline_ms) for camera in report.cameras}
    others = [reason for reason in late.values() if reason is not None]
    is_ready = not failed and any(reason is None for reason in late.values())
    return Health(is_ready, tuple(dict.fromkeys([*failed, *others])))


def _why_late(camera: CameraReport, age_s: float, deadline_ms: float) -> str | None:
    """Returns why a camera has no fresh masks; None if it has."""
    if camera.state is not CameraState.LIVE:
        return _sentence(camera)
    if camera.masks_age_ms is None:
        return f"{camera.camera}: no masks yet"
    masks_age_ms = camera.masks_age_ms + age_s * 1000
    # written so that an age that is NaN is late
    if not masks_age_ms <= deadline_ms:
        return f"{camera.camera}: masks are {masks_age_ms / 1000:.1f} s old (limit {deadline_ms / 1000:g} s)"
    return None


def _sentence(camera: CameraReport) -> str:
    return f"{camera.camera}: {camera.state}" + (f": {camera.detail}" if camera.detail else "")
