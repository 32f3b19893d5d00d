"""The live page in a real Chromium: what people see is what was published."""

from __future__ import annotations

import time

import pytest

from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.page import LivePage, PageAddress, PageLimits
from support.browser import Browser, hosts
from support.live_feed import (
    Moving,
    ScriptedLive,
    camera_report,
    image_of,
    run_report,
)
from support.page_browser import captured_ms, card, counts, look, tracks, wait_for_images

pytestmark = pytest.mark.ci

LOOPBACK = PageAddress("127.0.0.1", 0)
AGE_TOLERANCE_MS = 250
"""The page knows the run's clock by half a round trip, which is long on a busy machine."""


def test_what_is_seen_is_what_was_published(browser: Browser) -> None:
    rear = (Moving(12, "person"),)
    with LivePage(LOOPBACK) as page, ScriptedLive(page, scenes={"rear": rear}) as live:
        browser.open(page.url)
        wait_for_images(browser, "front", "rear")
        first = captured_ms(browser, "front")
        browser.wait("the image changes", lambda: captured_ms(browser, "front") > first)
        assert counts(browser, "front") == ["2 cars", "1 person"]
        assert counts(browser, "rear") == ["1 person"]
        browser.wait("rows of tracks", lambda: tracks(browser, "front") == [1, 2, 3])
        assert tracks(browser, "rear") == [12]
        live.scenes["rear"] = (Moving(12, "person"), Moving(13, "bus", 150))
        browser.wait("the counts follow", lambda: counts(browser, "rear") == ["1 bus", "1 person"])
        browser.wait("the rows follow", lambda: tracks(browser, "rear") == [12, 13])
        assert browser.text("#run-state") == "2 of 2 live"
        assert browser.text(card("front", ".losses")).startswith(
            "30 dropped: newer frame waiting 25, queue full 5 · 2 failed: decode 2 · reconnected 1"
        )
        assert browser.text(card("front", ".captured-fps")) == "25.0 fps"
        browser.wait("ages of the page", lambda: "page" in browser.text(card("front", ".ages tbody")))
        ages = page.page_ages("front")
        assert ages is not None
        assert hosts(browser.requests()) == {"127.0.0.1"}
        assert browser.console() == []


def test_the_age_that_is_shown_is_the_age_of_the_image(browser: Browser) -> None:
    """The run's clock is an hour ahead of the browser's, and its images are 600 ms old when they are published."""
    hour_ms = 3_600_000

    def wall_ns() -> int:
        return time.time_ns() + hour_ms * 1_000_000

    with LivePage(LOOPBACK) as page, ScriptedLive(page, wall_ns=wall_ns, delay_ms=600) as live:
        browser.open(page.url)
        wait_for_images(browser, "front")

        def error_ms() -> float:
            seen = look(browser, "front")
            age_ms = seen["now"] + hour_ms - seen["captured"]
            assert age_ms >= 600
            return abs(float(seen["age"]) - age_ms)

        # the first round trip may be a long one, which the next ones put right
        browser.wait("the page knows the run's clock", lambda: error_ms() <= AGE_TOLERANCE_MS)
        errors = [error_ms() for _ in range(20)]
        assert all(error <= AGE_TOLERANCE_MS for error in errors), errors
        told = page.page_ages("front")
        assert told is not None
        assert told.p50_ms >= 600
        # an image that stands still grows old
        live.frozen.set()
        browser.wait("the age grows", lambda: look(browser, "front")["age"] > 2500)
        seen = look(browser, "front")
        assert abs(seen["age"] - (seen["now"] + hour_ms - seen["captured"])) <= AGE_TOLERANCE_MS + 50  # shown as 2.6 s
        assert "late" in str(browser.find(card("front", ".shown-age")).get_attribute("class"))


def test_a_clock_that_is_set_while_the_page_is_open_spoils_no_age(browser: Browser) -> None:
    hour_ms = 3_600_000
    ahead = {"ms": 0}

    def wall_ns() -> int:
        return time.time_ns() + ahead["ms"] * 1_000_000

    with LivePage(LOOPBACK) as page, ScriptedLive(page, ("front",), wall_ns=wall_ns, delay_ms=400):
        browser.open(page.url)
        wait_for_images(browser, "front")

        def error_and_clock_ms() -> tuple[float, int]:
            """By how much the age is wrong, and how far the clock was ahead by which the image was captured."""
            seen = look(browser, "front")
            clock_ms = round((seen["captured"] - seen["now"]) / hour_ms) * hour_ms
            return abs(seen["age"] - (seen["now"] + clock_ms - seen["captured"])), clock_ms

        def captured_by(clock_ms: int) -> bool:
            error_ms, seen_ms = error_and_clock_ms()
            assert error_ms <= AGE_TOLERANCE_MS
            return seen_ms == clock_ms

        browser.wait("the page knows the run's clock", lambda: error_and_clock_ms()[0] <= AGE_TOLERANCE_MS)
        for ahead["ms"] in (0, hour_ms, -hour_ms):
            browser.wait("an image by the new clock", lambda: captured_by(ahead["ms"]))
            assert all(captured_by(ahead["ms"]) for _ in range(10))


def test_a_page_comes_back_when_the_run_does(browser: Browser) -> None:
    first = LivePage(LOOPBACK)
    with first, ScriptedLive(first):
        browser.open(first.url)
        wait_for_images(browser, "front", "rear")
    browser.wait("the page says that nobody answers", lambda: "does not answer" in browser.text("#banner"))
    assert browser.text("#run-state") == "not connected"
    age_then = browser.wait("the image grows old", lambda: look(browser, "front")["age"] > 1000)
    assert age_then
    second = LivePage(PageAddress("127.0.0.1", first.port))
    with second, ScriptedLive(second, cameras=("front",)):
        browser.wait("a fresh image", lambda: look(browser, "front")["age"] < 1000)
        browser.wait("all is well again", lambda: browser.text("#run-state") == "1 of 1 live")
        assert not browser.find("#banner").is_displayed()
        assert not browser.find_all(card("rear"))  # it belonged to the run before


def test_camera_states_and_a_silent_run_are_told(browser: Browser) -> None:
    hostile = '<img src="https://evil.example/x" onerror="document.title=1">'
    with LivePage(LOOPBACK, limits=PageLimits(report_deadline_s=2.0)) as page:
        page.publish(image_of("a"))
        page.report(
            run_report(
                camera_report("a", state=CameraState.RECONNECTING, detail="connection reset, next attempt in 2 s"),
                camera_report(hostile, state=CameraState.FAILED, detail="unknown codec"),
                storing=False,
                store_detail="disk below its floor",
            )
        )
        browser.open(page.url)
        browser.wait("a camera", lambda: browser.find_all(card("a")))
        assert browser.text(card("a", ".state")) == "reconnecting"
        assert browser.find(card("a", ".detail")).text == "connection reset, next attempt in 2 s"
        assert browser.text(".camera:nth-of-type(2) h2") == hostile
        assert "not storing" in browser.text("#run-facts")
        assert "disk below its floor" in browser.text("#run-facts")
        browser.wait("a run that fell silent is noticed", lambda: "has not reported" in browser.find("#banner").text)
        assert browser.text("#run-state") == "not reporting"

        def speaks() -> bool:
            page.report(run_report(camera_report("a")))  # each counts for two seconds
            return browser.text("#run-state") == "1 of 1 live" and not browser.find("#banner").is_displayed()

        browser.wait("it speaks again", speaks)
        assert hosts(browser.requests()) == {"127.0.0.1"}


def test_the_token_opens_the_page_and_leaves_the_address(browser: Browser) -> None:
    chosen = "chosen-by-the-user"
    with LivePage(LOOPBACK, token=chosen) as page, ScriptedLive(page, cameras=("front",)):
        browser.open(page.url.replace(chosen, "guessed-by-another"))
        assert "not the token of this run" in browser.text("body")
        browser.open(page.url.partition("?")[0])
        assert "needs its token" in browser.text("body")
        browser.open(page.url)
        wait_for_images(browser, "front")
        assert browser.driver.current_url == f"http://127.0.0.1:{page.port}/"
        assert browser.script("return document.cookie") == ""
    with LivePage(PageAddress("127.0.0.1", page.port), token=chosen[::-1]):
        browser.wait("the page says why", lambda: "no longer accepts this page" in browser.text("#banner"))
