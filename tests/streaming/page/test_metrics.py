"""What monitoring reads from the live page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.page import PageLimits
from support.live_feed import camera_report, image_of, run_report
from support.page_viewer import Viewer, get, get_json, metrics, serving, watch
from support.patience import wait_until


def test_status_tells_the_report_and_the_tracks() -> None:
    async def see(viewer: Viewer) -> dict[str, Any]:
        return await viewer.text("status")

    with serving() as page:
        page.publish(image_of())
        page.report(run_report(camera_report("front", state=CameraState.STALLED, detail="no frame for 3 s")))
        status = watch(page, see)
        report = get_json(page, "/api/report")
    assert status["report"] == report
    assert report["cameras"][0]["state"] == "stalled"
    assert report["cameras"][0]["dropped"] == {"newer frame waiting": 25, "queue full": 5}
    assert [(row["id"], row["label"]) for row in status["tracks"]["front"]] == [(1, "car"), (2, "person"), (3, "car")]


def test_health_tells_the_truth() -> None:
    with serving(limits=PageLimits(report_deadline_s=0.5)) as page:

        def good_when_reported(path: str) -> bool:
            page.report(run_report())
            return get(page, path)[0] == 200

        status, text, _ = get(page, "/healthz")
        assert (status, json.loads(text)["reasons"]) == (503, ["the run has not reported yet"])
        assert get(page, "/api/report")[0] == 503
        for path in ("/healthz", "/readyz"):
            wait_until(lambda path=path: good_when_reported(path), f"{path} answers before the report is old")
        wait_until(lambda: get(page, "/healthz")[0] == 503, "a run that reports no more is not healthy")
        assert "has not reported for" in get(page, "/healthz")[1]
        assert get(page, "/readyz")[0] == 503
        wait_until(lambda: good_when_reported("/healthz"), "a run that reports again is healthy")


def test_metrics_are_those_of_the_report() -> None:
    front = camera_report("front", masks_age_ms=None, ages={"queue": camera_report().ages["queue"]})
    rear = camera_report('re"ar\n', state=CameraState.FAILED)
    with serving() as page:
        page.report(run_report(front, rear, budget_ms=450.0, input_size="256x448", input_size_changes=2))
        found = metrics(page)
        text, headers = get(page, "/metrics")[1:]
    assert headers["Content-Type"].startswith("text/plain; version=")
    camera = ("camera", "front")
    assert found["roadmask_camera_captured_frames_total", (camera,)] == 1000
    assert found["roadmask_camera_dropped_frames_total", (camera, ("reason", "queue full"))] == 5
    assert found["roadmask_camera_failed_frames_total", (camera, ("reason", "decode"))] == 2
    assert found["roadmask_camera_image_age_seconds", (camera,)] == pytest.approx(0.021)
    assert ("roadmask_camera_masks_age_seconds", (camera,)) not in found  # unknown is not zero
    assert found["roadmask_camera_frames_per_second_limit", (camera,)] == 20
    assert found["roadmask_camera_limit_changes_total", (camera,)] == 3
    stage = (camera, ("quantile", "0.95"), ("stage", "queue"))
    assert found["roadmask_camera_stage_age_seconds", stage] == pytest.approx(0.04)
    assert found["roadmask_camera_tracks", (camera, ("class", "car"))] == 2
    states = {
        labels[1][1]: value
        for (name, labels), value in found.items()
        if name == "roadmask_camera_state" and labels[0] != camera
    }
    assert states == {state.value: float(state is CameraState.FAILED) for state in CameraState}
    assert found["roadmask_latency_budget_seconds", ()] == pytest.approx(0.45)
    assert found["roadmask_input_size", (("size", "256x448"),)] == 1
    assert found["roadmask_input_size_changes_total", ()] == 2
    assert found["process_resident_memory_bytes", ()] > 0
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.name.startswith(("roadmask_", "process_"))


def test_numbers_out_of_arrays_are_numbers() -> None:
    image = image_of()
    first = replace(image.instances[0], track_id=np.int64(7), score=np.float32(0.5))
    with serving() as page:
        page.report(run_report(camera_report(ledger=Ledger(np.int64(5)), masks_age_ms=np.float32("nan"))))
        page.publish(replace(image, instances=(first,)))
        assert get_json(page, "/api/report")["cameras"][0]["captured"] == 5
        header, _ = watch(page, lambda viewer: viewer.image())
        assert (header["instances"][0]["id"], header["instances"][0]["score"]) == (7, 0.5)
        assert metrics(page)["roadmask_camera_captured_frames_total", (("camera", "front"),)] == 5


def test_what_is_not_a_number_breaks_nothing() -> None:
    with serving() as page:
        page.report(run_report(camera_report(captured_fps=float("nan"), masks_age_ms=float("inf"))))
        camera = get_json(page, "/api/report")["cameras"][0]
        assert (camera["captured_fps"], camera["masks_age_ms"]) == (None, None)
        assert get(page, "/readyz")[0] == 503
        assert get(page, "/metrics")[0] == 200
