"""Whole live runs on Ray: what is stored, shown and counted, and what survives when its processes are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import ray
from ray.exceptions import ObjectStoreFullError

from benchmarks.cameras import free_port
from roadmask.engines import Image, Instances, ScriptedSegmenter
from roadmask.engines.errors import StoreError, StoreExistsError
from roadmask.evaluation.speed.clips import lengthened
from roadmask.evaluation.speed.object_store import object_store
from roadmask.evaluation.speed.observed import ObservedRun
from roadmask.evaluation.speed.scripted import corner_segmenter, find_corner
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.coordinator import CameraEnd
from roadmask.streaming.live.reports import CameraState, LiveImage
from roadmask.streaming.live.run import LiveResult
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.store import check_drive, open_drive
from support.barcode_camera import BarcodeCamera
from support.browser import Browser
from support.live_feed import BAR, BITS, read_barcode
from support.page_browser import card, look, wait_for_images
from support.video_factory import write_clip

WAIT_S = 120.0
ENGINE_S = 0.4
TOLERANCE_MS = 250
"""The page knows the run's clock by half a round trip, which is long on a busy machine."""
WAY_MS = 200
"""What the fastest image of all takes to be encoded, sent and taken apart, which no clock here can know: the end of a
image in MPEG-TS shows only when the next ones begin, 50 ms apart."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", range(50), gop=5, b_frames=0)


@pytest.fixture(scope="module")
def slow_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lasts six seconds, so that a machine that takes two images a second has time for some."""
    return write_clip(tmp_path_factory.mktemp("clips") / "slow.mp4", range(50), fps=8, gop=5, b_frames=0)


@pytest.fixture(scope="module")
def long_clip(clip: Path) -> Path:
    return lengthened(clip, clip.with_name("long.mp4"), 100)


def observed(sources: list[str], out: Path | None, **settings: Any) -> ObservedRun:
    return ObservedRun(parse_live_sources(sources), out, LiveSettings(**settings), [corner_segmenter])


def test_two_replays_are_stored_shown_and_accounted_for(tmp_path: Path, cluster: None, slow_clip: Path) -> None:
    out = tmp_path / "drive.zarr"
    with observed([f"front=replay:{slow_clip}", f"rear=replay:{slow_clip}"], out) as run:
        result = run.join()
    assert not run.unbalanced
    assert result.exit_code == 0
    assert check_drive(out).ok
    for camera in result.cameras:
        assert camera.state is CameraState.ENDED
        stored = open_drive(out)[camera.camera]
        assert stored.complete
        assert stored.ledger.to_dict() == camera.ledger.to_dict()
        assert (camera.ledger.captured, camera.ledger.stored) == (50, len(stored))
        assert len(stored) >= 3
        assert [track.frames for track in stored.tracks()] == [len(stored)]
        assert stored.epochs[0].info.clock == "unix"
        shown = run.images[camera.camera]
        assert shown.jpeg[:2] == b"\xff\xd8"
        # what was shown is what is stored: ids, classes and places
        frame = stored.frame(stored.position_of(shown.frame_index))
        assert frame.timestamp_ns == shown.captured_ns
        assert [each.track_id for each in shown.instances] == frame.track_ids.tolist() == [1]
        assert [each.label for each in shown.instances] == ["car"]
        assert shown.instances[0].box == pytest.approx(frame.instances.boxes[0].tolist(), abs=0.1)


@pytest.mark.ci
def test_a_store_opens_while_it_is_written_and_ctrl_c_closes_it(tmp_path: Path, cluster: None, long_clip: Path) -> None:
    out = tmp_path / "drive.zarr"
    with observed([f"front=replay:{long_clip}"], out) as run:

        def readable() -> int:
            drive = open_drive(out) if (out / "zarr.json").exists() else {}
            return len(drive["front"]) if "front" in drive else 0

        run.until(lambda: readable() > 0, WAIT_S, "a first commit")
        seen = readable()
        run.until(lambda: readable() > seen, WAIT_S, "another commit")
        drive = open_drive(out)
        assert not drive["front"].complete
        assert len(drive["front"].frame(0)) == 1
        assert drive["front"].id_map(0).max() == 1
        result = run.stop()
    assert result.exit_code == 130
    assert not run.unbalanced
    front = open_drive(out)["front"]
    assert front.complete
    assert front.ledger.captured == front.ledger.accounted
    assert check_drive(out).ok


@pytest.mark.ci
def test_every_process_may_be_killed(tmp_path: Path, cluster: None, long_clip: Path) -> None:
    out = tmp_path / "drive.zarr"
    with observed([f"front=replay:{long_clip}", f"rear=replay:{long_clip}"], out) as run:
        run.until(lambda: run.live("front", "rear"), WAIT_S, "both cameras")
        front = run.run.coordinators["front"]

        def committed() -> int:
            return len(open_drive(out)["front"])

        run.until(lambda: committed() > 0, WAIT_S, "a commit")
        for kill in ("decoder", "segmenter", "recorder"):
            if (
                kill == "recorder"
            ):  # right after a commit, so that the next one, seconds away, cannot take what it holds
                before = committed()
                run.until(lambda: committed() > before, WAIT_S, "another commit")  # noqa: B023
                run.until(lambda: front.ledger.stored > committed() + 1, WAIT_S, "frames that are not committed")
            pid = {
                **front.pids,
                "segmenter": run.run.segmenter_pid,
            }[kill]
            assert pid
            os.kill(pid, signal.SIGKILL)
            killed_ns = time.monotonic_ns()
            run.until(lambda: run.fresh("front", killed_ns + 10**9), WAIT_S, f"front after its {kill} was killed")  # noqa: B023
            run.until(lambda: run.fresh("rear", killed_ns), WAIT_S, f"rear after front's {kill} was killed")  # noqa: B023
        result = run.stop()
    assert not run.unbalanced
    assert [camera.problem for camera in result.cameras] == [None, None]
    ledger = result.cameras[0].ledger
    assert ledger.captured == ledger.accounted
    assert set(ledger.failed) <= {"reader_died", "segmenter_died", "writer_died", "decode"}
    assert ledger.failed["writer_died"] > 0
    assert result.cameras[1].ledger.failed.keys() <= {"segmenter_died"}
    assert check_drive(out).ok
    assert len(open_drive(out)["front"]) == ledger.stored


@pytest.mark.ci
def test_without_a_store_frames_are_watched_and_none_stays_in_memory(
    cluster: None, slow_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the frame lost for which Ray's object store has no room once."""
    put, no_room = ray.put, [ObjectStoreFullError("no room")]

    def full_once(value: Any) -> Any:
        if isinstance(value, Frame) and no_room:
            raise no_room.pop()
        return put(value)

    monkeypatch.setattr(ray, "put", full_once)
    with observed([f"front=replay:{slow_clip}"], None) as run:
        result = run.join()
    (front,) = result.cameras
    assert not run.unbalanced
    assert front.ledger.dropped["watched"] >= 3
    assert front.ledger.stored == 0
    assert front.ledger.failed == {"engine": 1}
    assert front.ledger.captured == front.ledger.accounted == 50
    assert result.exit_code == 3
    deadline = time.monotonic() + WAIT_S
    while (held := object_store()).objects and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (held.objects, held.spilled_bytes) == (0, 0)


@pytest.mark.ci
def test_the_networks_input_is_smaller_while_the_engine_is_too_slow(
    tmp_path: Path, cluster: None, long_clip: Path
) -> None:
    """An engine that takes 400 ms for an image, a tenth of that at the smaller size, until a burden is taken off."""
    burden, out = tmp_path / "burden", tmp_path / "drive.zarr"
    burden.touch()

    def engine(share: float) -> Callable[[], ScriptedSegmenter]:
        def find(image: Image, index: int = 0) -> Instances:
            time.sleep(share * (0.4 if burden.exists() else 0.02))
            return find_corner(image, index)

        return lambda: ScriptedSegmenter(find)

    settings = LiveSettings(busy_input_sizes=("256x448",))
    sources = parse_live_sources([f"front=replay:{long_clip}"])
    with ObservedRun(sources, out, settings, [engine(1.0), engine(0.1)]) as run:

        def size(name: str) -> bool:
            return bool(run.reports) and run.reports[-1].input_size == name

        run.until(lambda: size("full"), WAIT_S, "the usual size")
        run.until(lambda: size("256x448"), WAIT_S, "the smaller one")
        burden.unlink()
        run.until(lambda: size("full"), WAIT_S, "the usual one again")
        assert run.reports[-1].input_size_changes == 2
        run.stop()
    told = [json.loads(line) for line in (out / "provenance.jsonl").read_text().splitlines()]
    changes = [line for line in told if line["event"] == "adapted"]
    assert [size for size, _ in groupby(line["input_size"] for line in changes)][-2:] == ["256x448", "full"]
    assert all(line["frames"]["front"] > 0 for line in changes)
    assert check_drive(out).ok


def captured_ms_of(jpeg: bytes) -> int:
    """Reads the time of capture off an image."""
    row = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)[-BAR // 2]
    return read_barcode(row[BAR // 2 :: BAR][: BITS + 4].tolist())


class NotedPage(LivePage):
    """Knows of each image, by its time of capture, how much later the run believes it was taken, milliseconds."""

    def __init__(self) -> None:
        super().__init__(PageAddress("127.0.0.1", 0))
        self.ways_ms: dict[int, float] = {}

    def publish(self, image: LiveImage) -> None:
        captured_ms = captured_ms_of(image.jpeg)
        self.ways_ms[captured_ms] = image.captured_ns / 1e6 - captured_ms
        super().publish(image)


@pytest.mark.ci
def test_the_age_on_the_page_is_the_time_since_the_image_was_taken(cluster: None, browser: Browser) -> None:
    """Through encoder, network, decoder, engine, tracker and browser."""

    def find(image: Image, index: int = 0) -> Instances:
        time.sleep(ENGINE_S)
        return find_corner(image, index)

    def slow_engine() -> ScriptedSegmenter:
        return ScriptedSegmenter(find)

    port = free_port()
    sources = parse_live_sources([f"front=udp://127.0.0.1:{port}"])
    with (
        BarcodeCamera(port),
        NotedPage() as page,
        ObservedRun(sources, None, LiveSettings(), [slow_engine], page) as run,
    ):
        browser.open(page.url)
        run.until(lambda: run.live("front"), WAIT_S, "the camera")
        wait_for_images(browser, "front")

        def error_ms() -> float:
            seen = look(browser, "front")
            age_ms = seen["now"] - seen["captured"]
            assert age_ms >= ENGINE_S * 1000
            images.add(seen["captured"])
            return abs(age_ms - seen["age"] - page.ways_ms[seen["captured"]])

        images: set[int] = set()
        # the first round trip may be a long one, which the next ones put right
        browser.wait("the page knows the run's clock", lambda: error_ms() <= TOLERANCE_MS)
        for _ in range(40):
            error = error_ms()
            assert error <= TOLERANCE_MS
            time.sleep(0.1)
        assert len(images) >= 4
        ways_ms = list(page.ways_ms.values())
        assert -10 <= min(ways_ms) <= WAY_MS, ways_ms
        # 20 images a second are more than the engine can take, and the page says what is done about it.
        run.until(lambda: bool((seen := run.camera("front")) and seen.limit_fps), WAIT_S, "the rate to be lowered")
        limited = re.compile(r"limited to [12]\.\d a second")
        browser.wait("the page to tell", lambda: limited.search(browser.text(card("front", ".losses"))))


@pytest.mark.parametrize(
    ("states", "failed", "interrupted", "problem", "code"),
    [
        (["ended", "ended"], {}, False, None, 0),
        (["ended", "live"], {}, True, None, 130),
        (["failed", "ended"], {}, False, None, 3),
        (["failed", "failed"], {}, False, None, 2),
        (["ended", "ended"], {"decode": 1}, False, None, 3),
        (["ended", "ended"], {"store": 1}, True, StoreError("the disk is gone"), 4),
    ],
)
def test_exit_codes(
    states: list[str], failed: dict[str, int], interrupted: bool, problem: StoreError | None, code: int
) -> None:
    ends = [
        CameraEnd(
            "front",
            Ledger(0 if state == "failed" else 10, 10 - sum(failed.values()), {}, failed),
            CameraState(state),
            "",
            problem,
        )
        for state in states
    ]
    assert LiveResult(ends, interrupted).exit_code == code


def test_an_existing_store_is_not_touched(tmp_path: Path, cluster: None, clip: Path) -> None:
    with pytest.raises(StoreExistsError), observed([f"replay:{clip}"], tmp_path):
        pass
