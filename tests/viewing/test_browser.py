"""The page of a recorded store in a real Chromium: with a mouse, with keys, on a phone."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from roadmask.viewing import RecordedPage, images
from support.browser import Browser, hosts
from support.page_browser import CONTRAST, card, counts
from support.patience import PATIENCE_S
from support.recorded_drive import CROSSING, FRAME_MS, FRAMES, SIZE

pytestmark = pytest.mark.ci


def serving(store: Path, **options: Any) -> RecordedPage:
    return RecordedPage(store, address="127.0.0.1:0", **options)


def frame(browser: Browser, camera: str) -> str:
    return browser.text(card(camera, ".frame-index"))


def wait_for_frame(browser: Browser, index: int, camera: str = "front") -> None:
    browser.wait(f"frame {index} of {camera}", lambda: frame(browser, camera) == str(index))


def address(browser: Browser) -> str:
    return browser.driver.current_url.partition("#")[2]


def opened(browser: Browser, page: RecordedPage, where: str = "") -> None:
    page.image_states()
    browser.open("about:blank")
    browser.open(page.url + where)
    browser.wait("the first frame", lambda: frame(browser, "front").isdigit())


def rows(browser: Browser, camera: str = "front") -> list[str]:
    return [row.text for row in browser.find_all(card(camera, ".track .name"))]


def present(browser: Browser, camera: str = "front") -> list[str]:
    return [row.text for row in browser.find_all(card(camera, ".track:not(.gone) .name"))]


def pixel(browser: Browser, camera: str, x: int, y: int) -> list[int]:
    """The colour that the page shows at a pixel of the image."""
    code = """
    const copy = new OffscreenCanvas(1, 1).getContext("2d");
    copy.drawImage(document.querySelector(arguments[0]), -arguments[1], -arguments[2]);
    return Array.from(copy.getImageData(0, 0, 1, 1).data).slice(0, 3);
    """
    return list(browser.script(code, card(camera, "canvas.image"), x, y))


def keys(browser: Browser, *pressed: str) -> None:
    ActionChains(browser.driver).send_keys(*pressed).perform()


def test_an_address_is_a_frame_a_track_and_a_filter(browser: Browser, recorded: Path) -> None:
    at = CROSSING[4]
    with serving(recorded) as page:
        opened(browser, page)
        assert address(browser) == "camera=front&frame=0"
        car, pedestrian = (row.get_attribute("data-track") for row in browser.find_all(card("front", ".track")))
        assert rows(browser) == [f"car {car}", f"pedestrian {pedestrian}"]
        where = f"#camera=front&frame={at}&track={pedestrian}&classes=pedestrian&seconds=0.5"
        opened(browser, page, where)
        wait_for_frame(browser, at)
        assert address(browser) == where[1:]
        wait_for_frame(browser, at // 2, "rear")  # at the same moment: it has half as many frames
        assert rows(browser) == [f"pedestrian {pedestrian}"]
        assert counts(browser, "front") == ["1 pedestrian"]
        assert browser.text("#filter .chosen") == "2 of 4 tracks"
        assert browser.text("#follow h2") == f"pedestrian {pedestrian}"
        assert browser.text("#follow .seen") == "score 0.90 · 0:01.00 to 0:02.00, 10 frames"
        assert browser.text(card("front", ".frame-time")) == f"0:0{at * FRAME_MS / 1000:.2f}"
        browser.find("#follow .last").click()
        wait_for_frame(browser, CROSSING[-1])
        assert f"frame={CROSSING[-1]}&" in address(browser)
        assert hosts(browser.requests()) == {"127.0.0.1"}
        assert browser.console() == []


def test_scrubbing_playing_and_stepping(browser: Browser, recorded: Path) -> None:
    with serving(recorded) as page:
        opened(browser, page)
        keys(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        wait_for_frame(browser, 2)
        keys(browser, Keys.ARROW_LEFT)
        wait_for_frame(browser, 1)
        keys(browser, Keys.END)
        wait_for_frame(browser, FRAMES - 1)
        keys(browser, Keys.HOME)
        wait_for_frame(browser, 0)
        browser.script(
            "const s = document.getElementById('scrub'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
            CROSSING[3] * FRAME_MS + 40,
        )
        wait_for_frame(browser, CROSSING[3])
        assert browser.text("#moment") == f"0:01.{CROSSING[3] % 10}4"
        assert present(browser)[1].startswith("pedestrian")
        assert browser.text(card("front", ".tracks .number")) == "2 in this frame, 2 on the time line"
        keys(browser, " ")
        browser.wait("it plays", lambda: int(frame(browser, "front")) > CROSSING[3] + 3)
        browser.wait("it ends", lambda: frame(browser, "front") == str(FRAMES - 1))
        browser.wait("it stops at the end", lambda: "Play" in browser.text("#pause"))
        assert len(present(browser)) == 1
        assert address(browser) == f"camera=front&frame={FRAMES - 1}"
        assert browser.console() == []


def test_following_by_a_click_and_by_the_time_line(browser: Browser, recorded: Path) -> None:
    at = CROSSING[5]
    with serving(recorded) as page:
        opened(browser, page, f"#camera=front&frame={at}")
        wait_for_frame(browser, at)
        canvas = browser.find(card("front", "canvas.image"))
        scale = canvas.rect["width"] / SIZE[1]
        x, y = (45 + 2 * at - SIZE[1] / 2) * scale, (75 - SIZE[0] / 2) * scale  # the middle of the car
        ActionChains(browser.driver).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()
        browser.wait("the car is followed", lambda: browser.text("#follow h2").startswith("car"))
        assert browser.find(card("front", ".marks")).is_displayed()
        assert "track=" in address(browser)
        keys(browser, Keys.ESCAPE)
        assert not browser.find("#follow").is_displayed()
        # a row of the time line: its middle is the middle of the drive
        bar = browser.find_all(card("front", ".track .bar"))[0]
        browser.script("arguments[0].scrollIntoView({block: 'center'})", bar)
        bar.click()
        browser.wait("the middle of the drive", lambda: abs(int(frame(browser, "front")) - FRAMES // 2) <= 1)
        assert browser.text("#follow h2").startswith("car")
        keys(browser, Keys.HOME)
        wait_for_frame(browser, 0)
        # the keyboard goes to the first frame of a track that is not in this one
        browser.script("document.querySelectorAll(arguments[0])[1].focus()", card("front", ".track"))
        keys(browser, Keys.ENTER)
        wait_for_frame(browser, CROSSING[0])
        assert browser.text("#follow h2").startswith("pedestrian")
        assert browser.console() == []


def test_the_filter_takes_masks_and_rows_away(browser: Browser, recorded: Path) -> None:
    at = CROSSING[5]
    with serving(recorded) as page:
        opened(browser, page, f"#camera=front&frame={at}")
        wait_for_frame(browser, at)
        browser.wait("everything", lambda: counts(browser, "front") == ["1 car", "1 pedestrian"])
        drawn = pixel(browser, "front", 160, 60)
        browser.find('#filter [data-label="car"]').click()
        browser.wait("only cars", lambda: counts(browser, "front") == ["1 car"])
        assert pixel(browser, "front", 160, 60) != drawn
        assert [name.split()[0] for name in rows(browser)] == ["car"]
        assert "classes=car" in address(browser)
        browser.find("#filter .reset").click()
        browser.script(
            "const s = document.getElementById('length'); s.value = 1.5; s.dispatchEvent(new Event('input'))"
        )
        browser.wait("only long ones", lambda: counts(browser, "front") == ["1 car"])
        assert address(browser).endswith("seconds=1.5")
        assert browser.console() == []


def test_without_images_masks_are_on_grey_and_one_line_says_why(
    browser: Browser, recorded: Path, tmp_path: Path
) -> None:
    store = tmp_path / "drive.zarr"
    shutil.copytree(recorded, store)
    with serving(store) as page:
        opened(browser, page)
        line = browser.wait("the line", lambda: browser.find(card("front", ".detail")).text)
        assert line.startswith("Masks are drawn on grey: front.mp4 is not in ")
        assert browser.text(card("front", ".state")) == "no images"
        assert pixel(browser, "front", 190, 5) == pytest.approx([74, 79, 86], abs=4)


def test_images_that_are_found_late_replace_the_grey(
    browser: Browser, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = threading.Event()
    monkeypatch.setattr(images, "is_recorded_from", lambda *_: hashed.wait(PATIENCE_S))
    with serving(recorded) as page:
        browser.open(page.url)
        browser.wait("the first frame", lambda: frame(browser, "front") == "0")
        browser.wait("the line", lambda: browser.text(card("front", ".state")) == "looking for images")
        assert pixel(browser, "front", 190, 5) == pytest.approx([74, 79, 86], abs=4)
        hashed.set()
        browser.wait("the street", lambda: abs(pixel(browser, "front", 190, 5)[0] - 60) < 6)
        browser.wait("no line", lambda: not browser.find(card("front", ".detail")).is_displayed())
        assert browser.console() == []


def test_the_page_says_when_nobody_answers(browser: Browser, recorded: Path) -> None:
    with serving(recorded, token="chosen-by-the-user") as page:  # noqa: S106 - a token of a test
        opened(browser, page, "#camera=front&frame=7")
        wait_for_frame(browser, 7)  # the redirection that removes the token keeps the frame
        assert "token" not in browser.driver.current_url
    browser.wait("a banner", lambda: "roadmask view does not answer" in browser.text("#banner"))


def test_a_phone_shows_everything_without_scrolling_sideways(phone: Browser, recorded: Path) -> None:
    with serving(recorded) as page:
        opened(phone, page, f"#camera=front&frame={CROSSING[5]}")
        wait_for_frame(phone, CROSSING[5])
        width, inner = phone.script("return [document.documentElement.scrollWidth, innerWidth]")
        assert (width, inner) == (420, 420)
        sizes = phone.script(
            """
            return [...document.querySelectorAll("button:not(.track), input, select")]
              .filter((one) => one.checkVisibility())
              .map((one) => [one.id || one.className, one.offsetWidth, one.offsetHeight]);
            """
        )
        assert all(wide >= 44 and high >= 44 for _, wide, high in sizes), sizes  # a finger's width
        phone.follow("front", int(str(phone.find(card("front", ".track")).get_attribute("data-track"))))
        phone.wait("the panel", lambda: phone.find("#follow").is_displayed())
        bar, panel = phone.find("#transport").rect, phone.find("#follow").rect
        assert panel["width"] <= 420
        assert panel["y"] + panel["height"] <= bar["y"] + 1
        assert bar["height"] < phone.script("return innerHeight") / 6
        opened(phone, page, "#camera=rear&frame=3")
        phone.wait("the second camera is in sight", lambda: phone.script("return scrollY") > 300)
        assert phone.console() == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_all_text_can_be_read(browser: Browser, recorded: Path, colours: str) -> None:
    """WCAG AA: 4.5 between letters and what is behind them."""
    with serving(recorded) as page:
        opened(browser, page, f"#camera=front&frame={CROSSING[5]}&track=1&classes=car")
        wait_for_frame(browser, CROSSING[5])
        browser.script("document.documentElement.dataset.theme = arguments[0]", colours)
        poor = browser.script(CONTRAST)
        browser.script("delete document.documentElement.dataset.theme")
    assert poor == []
