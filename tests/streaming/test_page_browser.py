"""The live page in a real Chromium: what people see is what was published."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from roadmask.streaming.drawing import track_colour
from roadmask.streaming.live.reports import CameraState
from roadmask.streaming.page import LivePage, PageAddress, PageLimits
from support.browser import Browser, hosts
from support.live_feed import (
    BAR,
    BITS,
    SCENE,
    SIZE,
    Moving,
    ScriptedLive,
    camera_report,
    picture_of,
    read_barcode,
    run_report,
)

pytestmark = pytest.mark.system

LOOPBACK = PageAddress("127.0.0.1", 0)
AGE_TOLERANCE_MS = 250
"""The page writes ages ten times a second and after each picture; the rest is for a busy machine."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """A browser that remembers nothing of the test before."""
    chromium.forget()
    return chromium


@pytest.fixture
def phone() -> Iterator[Browser]:
    with Browser(width=420, height=860, phone=True, dark=True) as opened:
        yield opened


def card(camera: str, selector: str = "") -> str:
    return f".camera[data-camera={json.dumps(camera)}] {selector}"


def captured_ms(browser: Browser, camera: str) -> int:
    """Reads the time of capture off the picture on the screen."""
    return int(look(browser, camera)["captured"])


def look(browser: Browser, camera: str) -> dict[str, Any]:
    """What stands on the page at one moment: time of capture in the picture, its age in words, the browser's clock."""
    found = browser.script(
        """
        const [camera, bar, bars] = arguments;
        const card = document.querySelector(camera);
        const canvas = card.querySelector("canvas.picture");
        const copy = new OffscreenCanvas(canvas.width, 1).getContext("2d");
        copy.drawImage(canvas, 0, bar / 2 - canvas.height);
        const { data } = copy.getImageData(0, 0, canvas.width, 1);
        const levels = Array.from({ length: bars }, (_, i) => data[4 * (i * bar + bar / 2) + 1]);
        return { levels, age: card.querySelector(".shown-age").textContent, now: Date.now() };
        """,
        card(camera),
        BAR,
        BITS + 4,
    )
    if None in found["levels"]:  # nothing was drawn yet
        return {"captured": math.nan, "age": math.nan, "now": found["now"]}
    return {"captured": read_barcode(found["levels"]), "age": in_ms(found["age"]), "now": found["now"]}


def in_ms(age: str) -> float:
    if age == "–":  # noqa: RUF001 - what the page shows for what it does not know
        return math.nan
    parts = age.split(" ")
    units = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
    return sum(float(number) * units[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))


def wait_for_pictures(browser: Browser, *cameras: str) -> None:
    for camera in cameras:
        browser.wait(f"a picture of {camera}", lambda camera=camera: "ms" in browser.text(card(camera, ".shown-age")))


def counts(browser: Browser, camera: str) -> list[str]:
    return [item.text for item in browser.find_all(card(camera, ".counts li"))]


def tracks(browser: Browser, camera: str) -> list[int]:
    rows = browser.find_all(card(camera, ".track:not(.gone)"))
    return sorted(int(str(row.get_attribute("data-track"))) for row in rows)


def click_on(browser: Browser, camera: str, instance: Callable[[], Moving]) -> None:
    """Clicks on the middle of something that stands still."""
    left, top, right, bottom = instance().at(0).box
    canvas = browser.find(card(camera, "canvas.picture"))
    scale = canvas.rect["width"] / SIZE[1]
    x, y = ((left + right) / 2 - SIZE[1] / 2) * scale, ((top + bottom) / 2 - SIZE[0] / 2) * scale
    browser.script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser.driver).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()


def test_what_is_seen_is_what_was_published(browser: Browser) -> None:
    rear = (Moving(12, "person"),)
    with LivePage(LOOPBACK) as page, ScriptedLive(page, scenes={"rear": rear}) as live:
        browser.open(page.url)
        wait_for_pictures(browser, "front", "rear")
        first = captured_ms(browser, "front")
        browser.wait("the picture changes", lambda: captured_ms(browser, "front") > first)
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


def test_the_age_that_is_shown_is_the_age_of_the_picture(browser: Browser) -> None:
    """The run's clock is an hour ahead of the browser's, and its pictures are 600 ms old when they are published."""
    hour_ms = 3_600_000

    def wall_ns() -> int:
        return time.time_ns() + hour_ms * 1_000_000

    with LivePage(LOOPBACK, wall_ns=wall_ns) as page, ScriptedLive(page, wall_ns=wall_ns, delay_ms=600) as live:
        browser.open(page.url)
        wait_for_pictures(browser, "front")
        errors = []
        for _ in range(20):
            seen = look(browser, "front")
            age_ms = seen["now"] + hour_ms - seen["captured"]
            assert age_ms >= 600
            errors.append(abs(seen["age"] - age_ms))
            time.sleep(0.05)
        assert max(errors) <= AGE_TOLERANCE_MS
        told = page.page_ages("front")
        assert told is not None
        assert told.p50_ms >= 600
        # a picture that stands still grows old
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

    with LivePage(LOOPBACK, wall_ns=wall_ns) as page, ScriptedLive(page, ("front",), wall_ns=wall_ns, delay_ms=400):
        browser.open(page.url)
        wait_for_pictures(browser, "front")
        clocks_seen = set()
        for ahead["ms"] in (0, hour_ms, -hour_ms):
            for _ in range(10):
                seen = look(browser, "front")
                clock_ms = round((seen["captured"] - seen["now"]) / hour_ms) * hour_ms  # by which it was captured
                clocks_seen.add(clock_ms)
                assert abs(seen["age"] - (seen["now"] + clock_ms - seen["captured"])) <= AGE_TOLERANCE_MS
                time.sleep(0.08)
    assert clocks_seen == {0, hour_ms, -hour_ms}


def test_a_page_comes_back_when_the_run_does(browser: Browser) -> None:
    first = LivePage(LOOPBACK)
    with first, ScriptedLive(first):
        browser.open(first.url)
        wait_for_pictures(browser, "front", "rear")
    browser.wait("the page says that nobody answers", lambda: "does not answer" in browser.text("#banner"))
    assert browser.text("#run-state") == "not connected"
    age_then = browser.wait("the picture grows old", lambda: look(browser, "front")["age"] > 1000)
    assert age_then
    second = LivePage(PageAddress("127.0.0.1", first.port))
    with second, ScriptedLive(second, cameras=("front",)):
        browser.wait("a fresh picture", lambda: look(browser, "front")["age"] < 1000)
        browser.wait("all is well again", lambda: browser.text("#run-state") == "1 of 1 live")
        assert not browser.find("#banner").is_displayed()
        assert not browser.find_all(card("rear"))  # it belonged to the run before


def test_camera_states_and_a_silent_run_are_told(browser: Browser) -> None:
    hostile = '<img src="https://evil.example/x" onerror="document.title=1">'
    with LivePage(LOOPBACK, limits=PageLimits(report_deadline_s=2.0)) as page:
        page.publish(picture_of("a"))
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
        page.report(run_report(camera_report("a")))
        browser.wait("it speaks again", lambda: browser.text("#run-state") == "1 of 1 live")
        assert not browser.find("#banner").is_displayed()
        assert hosts(browser.requests()) == {"127.0.0.1"}


def test_the_token_opens_the_page_and_leaves_the_address(browser: Browser) -> None:
    chosen = "chosen-by-the-user"
    with LivePage(LOOPBACK, token=chosen) as page, ScriptedLive(page, cameras=("front",)):
        browser.open(page.url.replace(chosen, "guessed-by-another"))
        assert "not the token of this run" in browser.text("body")
        browser.open(page.url.partition("?")[0])
        assert "needs its token" in browser.text("body")
        browser.open(page.url)
        wait_for_pictures(browser, "front")
        assert browser.driver.current_url == f"http://127.0.0.1:{page.port}/"
        assert browser.script("return document.cookie") == ""
    with LivePage(PageAddress("127.0.0.1", page.port), token=chosen[::-1]):
        browser.wait("the page says why", lambda: "does not know this page" in browser.text("#banner"))


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_an_instance_is_followed_until_it_is_gone(browser: Browser, by: str) -> None:
    still = Moving(5, "car", 60, pixels_per_second=0)
    with LivePage(LOOPBACK) as page, ScriptedLive(page, ("front",), scenes={"front": (still, SCENE[1])}) as live:
        browser.open(page.url)
        wait_for_pictures(browser, "front")
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
        wait_for_pictures(browser, "front", "rear")
        time.sleep(4)  # something to look back at
        browser.find("#pause").click()
        paused_ms = int(browser.script("return Date.now()"))
        browser.wait("paused", lambda: browser.text("#moment") == "paused")
        held = captured_ms(browser, "front")
        time.sleep(0.6)
        assert captured_ms(browser, "front") == held
        assert look(browser, "front")["age"] >= 500  # what stands still grows old
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
            assert past <= paused_ms - 2000 + 50
            assert min(later for later in live.captured_ms[camera] if later > past + 50) > held - 2000 - 100
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
        wait_for_pictures(phone, "front", name)
        for selector in ("canvas.picture", ".figures", ".tracks"):
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
        wait_for_pictures(browser, "front", "rear")
        browser.wait("rows of tracks", lambda: tracks(browser, "front") == [1, 2, 3])
        browser.script("document.documentElement.dataset.theme = arguments[0]", colours)
        time.sleep(0.3)
        poor = browser.script(CONTRAST)
        browser.script("delete document.documentElement.dataset.theme")
    assert poor == []


CONTRAST = """
const channel = (level) => (level /= 255) <= .03928 ? level / 12.92 : ((level + .055) / 1.055) ** 2.4;
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([red, green, blue]) => .2126 * channel(red) + .7152 * channel(green) + .0722 * channel(blue);
const paper = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = numbers(getComputedStyle(one).backgroundColor);
    if ((colour[3] ?? 1) > 0) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const isText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (!isText || !element.checkVisibility() || element.closest("button:disabled, template")) continue;
  const letters = numbers(getComputedStyle(element).color);
  const [one, two] = [luminance(letters), luminance(paper(element))].sort((a, b) => b - a);
  const contrast = (one + .05) / (two + .05);
  if (contrast < 4.5) poor.push([element.className || element.tagName, element.textContent.trim(), contrast]);
}
return poor;
"""
