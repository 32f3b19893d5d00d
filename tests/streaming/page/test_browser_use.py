"""The live page in a real Chromium: following, pausing, looking back, on a phone, in every light."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sinks.drawing import track_colour
from support.browser import Browser, hosts
from support.live_feed import (
    SCENE,
    Moving,
    ScriptedLive,
)
from support.page_browser import CONTRAST, captured_ms, card, click_on, counts, look, tracks, wait_for_images

pytestmark = pytest.mark.ci

LOOPBACK = PageAddress("127.0.0.1", 0)
CLOCK_MS = 500
"""The page knows the run's clock by half a round trip, which is long on a busy machine."""


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_an_instance_is_followed_until_it_is_gone(browser: Browser, by: str) -> None:
    still = Moving(5, "car", 60, pixels_per_second=0)
    with LivePage(LOOPBACK) as page, ScriptedLive(page, ("front",), scenes={"front": (still, SCENE[1])}) as live:
        browser.open(page.url)
        wait_for_images(browser, "front")
        browser.wait("a row", lambda: 5 in tracks(browser, "front"))
        if by == "mouse":
            click_on(browser, "front", lambda: still)
        else:
            browser.script("document.querySelector(arguments[0]).focus()", card("front", '.track[data-track="5"]'))
            ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
        browser.wait("the panel", lambda: browser.find("#follow").is_displayed())
        assert browser.text("#follow h2") == "car 5"
        browser.wait("it is seen", lambda: browser.text("#follow .seen").startswith("score 0.90"))
        assert browser.find(card("front", ".marks")).is_displayed()
        assert browser.find(card("front", '.track[data-track="5"]')).get_attribute("aria-pressed") == "true"
        middle = browser.script(
            """
            const canvas = document.querySelector("#follow canvas");
            const copy = new OffscreenCanvas(1, 1).getContext("2d");
            copy.drawImage(canvas, -canvas.width / 2, -canvas.height / 2);
            return Array.from(copy.getImageData(0, 0, 1, 1).data);
            """
        )
        assert middle[:3] == pytest.approx(track_colour(5), abs=12)
        live.scenes["front"] = (SCENE[1],)
        browser.wait("it is gone", lambda: browser.text("#follow .seen").startswith("gone for"))
        assert not browser.find(card("front", ".marks")).is_displayed()
        ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
        assert not browser.find("#follow").is_displayed()
        assert browser.console() == []


def test_pause_and_scrub(browser: Browser) -> None:
    with LivePage(LOOPBACK) as page, ScriptedLive(page) as live:
        browser.open(page.url)
        wait_for_images(browser, "front", "rear")
        for camera in ("front", "rear"):
            first = live.captured_ms[camera][0]
            browser.wait(
                f"four seconds of {camera} to look back at",
                lambda camera=camera, first=first: captured_ms(browser, camera) > first + 4000,
            )
        browser.find("#pause").click()
        paused_ms = int(browser.script("return Date.now()"))
        browser.wait("paused", lambda: browser.text("#moment") == "paused")
        held = captured_ms(browser, "front")
        browser.wait("what stands still grows old", lambda: look(browser, "front")["age"] >= 500)
        assert captured_ms(browser, "front") == held
        # before the page knows what is kept there is nothing to go to
        browser.wait(
            "the list of what is kept", lambda: browser.script("return document.getElementById('kept').style.left")
        )
        browser.script(
            """
            const scrub = document.getElementById("scrub");
            scrub.value = -2;
            scrub.dispatchEvent(new Event("input"));
            """
        )
        for camera in ("front", "rear"):
            browser.wait(f"the past of {camera}", lambda camera=camera: captured_ms(browser, camera) < held - 1000)
            # it is the last one before that moment: the next that is kept, at most 20 a second are, comes after it
            past = captured_ms(browser, camera)
            assert past <= paused_ms - 2000 + CLOCK_MS
            assert min(later for later in live.captured_ms[camera] if later > past + 50) > held - 2000 - CLOCK_MS
        assert browser.text("#moment").endswith("2.0 s")
        assert counts(browser, "front") == ["2 cars", "1 person"]
        # one step of the slider by the keyboard
        past = captured_ms(browser, "front")
        browser.script("document.getElementById('scrub').focus()")
        for _ in range(5):
            ActionChains(browser.driver).send_keys(Keys.ARROW_LEFT).perform()
        browser.wait("further back", lambda: captured_ms(browser, "front") < past)
        ActionChains(browser.driver).send_keys("l").perform()
        browser.wait("live again", lambda: captured_ms(browser, "front") > paused_ms)
        assert browser.text("#moment") == "live"
        assert hosts(browser.requests()) == {"127.0.0.1"}
        assert browser.console() == []


def test_a_phone_shows_everything_without_scrolling_sideways(phone: Browser) -> None:
    still = Moving(5, "car", 60, pixels_per_second=0)
    name = "a-camera-with-a-long-name-that-nobody-breaks-for-us-0123456789"
    live_on = {"scenes": {name: (still,)}, "changed": {name: {"detail": "x" * 200, "state": CameraState.STALLED}}}
    with LivePage(LOOPBACK) as page, ScriptedLive(page, ("front", name), **live_on):  # type: ignore[arg-type]
        phone.open(page.url)
        wait_for_images(phone, "front", name)
        for selector in ("canvas.image", ".figures", ".tracks"):
            place = phone.find(card("front", selector)).rect
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= 420
            assert place["width"] > 300
        width, inner = phone.script("return [document.documentElement.scrollWidth, innerWidth]")
        assert (width, inner) == (420, 420)
        sizes = phone.script(
            """
            return [...document.querySelectorAll("button:not(.track), #scrub")]
              .filter((one) => one.checkVisibility())
              .map((one) => [one.id, one.offsetWidth, one.offsetHeight]);
            """
        )
        assert all(wide >= 44 and high >= 44 for _, wide, high in sizes), sizes  # a finger's width
        click_on(phone, name, lambda: still)
        phone.wait("the panel", lambda: phone.find("#follow").is_displayed())
        panel, bar = phone.find("#follow").rect, phone.find("#transport").rect
        assert panel["width"] <= 420
        page_height = phone.script("return innerHeight")
        assert bar["height"] < page_height / 6
        width, inner = phone.script("return [document.documentElement.scrollWidth, innerWidth]")
        assert (width, inner) == (420, 420)
        assert phone.console() == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_all_text_can_be_read(browser: Browser, colours: str) -> None:
    """WCAG AA: 4.5 between letters and what is behind them."""
    changed = {"rear": {"state": CameraState.STALLED, "detail": "no frame for 3 s", "masks_age_ms": 5000.0}}
    with LivePage(LOOPBACK) as page, ScriptedLive(page, changed=changed):
        browser.open(page.url)
        wait_for_images(browser, "front", "rear")
        browser.wait("rows of tracks", lambda: tracks(browser, "front") == [1, 2, 3])
        browser.script("document.documentElement.dataset.theme = arguments[0]", colours)
        poor = browser.script(CONTRAST)
        browser.script("delete document.documentElement.dataset.theme")
    assert poor == []
