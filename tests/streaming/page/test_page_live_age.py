"""From the lens to the screen: a real stream whose pictures tell when they were taken, read off the page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import ray

from roadmask.engines import Image, Instances, ScriptedSegmenter
from roadmask.streaming.benchmarks.cameras import free_port
from roadmask.streaming.benchmarks.observed import ObservedRun
from roadmask.streaming.benchmarks.scripted import find_corner
from roadmask.streaming.live.address import parse_live_sources
from roadmask.streaming.live.run import LiveSettings
from roadmask.streaming.page import LivePage, PageAddress
from support.barcode_camera import BarcodeCamera
from support.browser import Browser
from support.live_feed import BAR, BITS, read_barcode
from support.page_browser import card, look, wait_for_pictures

pytestmark = pytest.mark.system

ENGINE_S = 0.4
TOLERANCE_MS = 250
"""The page writes ages ten times a second and after each picture; the rest is for a busy machine."""
WAY_MS = 200
"""What the fastest picture of all takes to be encoded, sent and taken apart, which no clock here can know: the end of a
picture in MPEG-TS shows only when the next ones begin, 50 ms apart. Measured: 103 to 136."""


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=256 * 2**20)
    yield
    ray.shutdown()


def captured_ms_of(jpeg: bytes) -> int:
    """Reads the time of capture off a picture."""
    row = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)[-BAR // 2]
    return read_barcode(row[BAR // 2 :: BAR][: BITS + 4].tolist())


def test_the_age_on_the_page_is_the_time_since_the_picture_was_taken(cluster: None, browser: Browser) -> None:
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
        LivePage(PageAddress("127.0.0.1", 0)) as page,
        ObservedRun(sources, LiveSettings(), slow_engine, page) as run,
    ):
        browser.open(page.url)
        run.until(lambda: run.live("front"), 60, "the camera")
        wait_for_pictures(browser, "front")
        pictures, ways_ms = [], []
        for _ in range(40):
            seen = look(browser, "front")
            age_ms = seen["now"] - seen["captured"]
            assert age_ms >= ENGINE_S * 1000
            assert -TOLERANCE_MS <= age_ms - seen["age"] <= TOLERANCE_MS + WAY_MS, (age_ms, seen["age"])
            pictures.append(seen["captured"])
            published = run.pictures["front"]
            ways_ms.append(published.captured_ns / 1e6 - captured_ms_of(published.jpeg))
            time.sleep(0.1)
        assert len(set(pictures)) >= 4
        assert -10 <= min(ways_ms) <= max(ways_ms) <= WAY_MS, ways_ms
        # 20 pictures a second are more than the engine can take, and the page says what is done about it.
        run.until(lambda: bool((seen := run.camera("front")) and seen.limit_fps), 30, "the rate to be lowered")
        browser.wait("the page to tell", lambda: "limited to 2." in browser.text(card("front", ".losses")))
