"""What a browser shows of the live page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from selenium.webdriver.common.action_chains import ActionChains

from support.browser import Browser
from support.live_feed import (
    BAR,
    BITS,
    SIZE,
    Moving,
    read_barcode,
)

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
"""Script that returns the texts whose letters contrast too little with what is behind them."""


def card(camera: str, selector: str = "") -> str:
    return f".camera[data-camera={json.dumps(camera)}] {selector}"


def captured_ms(browser: Browser, camera: str) -> int:
    """Reads the time of capture off the image on the screen."""
    return int(look(browser, camera)["captured"])


def look(browser: Browser, camera: str) -> dict[str, Any]:
    """What stands on the page at one moment: time of capture in the image, its age in words, the browser's clock.

    The moment is that at which the page writes the age: on a busy machine its timers are late, and what stands there
    until then is as old as they are.
    """
    found = browser.answer(
        """
        const [camera, bar, bars, answer] = arguments;
        const card = document.querySelector(camera);
        const nothing = () => ({ levels: [null], age: null, now: Date.now() });
        if (!card) return answer(nothing());  // the page begins anew
        const age = card.querySelector(".shown-age");
        const read = () => {
          writing.disconnect();
          clearTimeout(patience);
          if (!card.isConnected) return answer(nothing());
          const canvas = card.querySelector("canvas.image");
          const copy = new OffscreenCanvas(canvas.width, 1).getContext("2d");
          copy.drawImage(canvas, 0, bar / 2 - canvas.height);
          const { data } = copy.getImageData(0, 0, canvas.width, 1);
          const levels = Array.from({ length: bars }, (_, i) => data[4 * (i * bar + bar / 2) + 1]);
          answer({ levels, age: age.textContent, now: Date.now() });
        };
        const writing = new MutationObserver(read);
        writing.observe(age, { childList: true, characterData: true, subtree: true });
        const patience = setTimeout(read, 1500);  // an age that nobody knows is not written again
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


def wait_for_images(browser: Browser, *cameras: str) -> None:
    for camera in cameras:
        browser.wait(f"an image of {camera}", lambda camera=camera: "ms" in browser.text(card(camera, ".shown-age")))


def counts(browser: Browser, camera: str) -> list[str]:
    return [item.text for item in browser.find_all(card(camera, ".counts li"))]


def tracks(browser: Browser, camera: str) -> list[int]:
    rows = browser.find_all(card(camera, ".track:not(.gone)"))
    return sorted(int(str(row.get_attribute("data-track"))) for row in rows)


def click_on(browser: Browser, camera: str, instance: Callable[[], Moving]) -> None:
    """Clicks on the middle of something that stands still."""
    left, top, right, bottom = instance().at(0).box
    canvas = browser.find(card(camera, "canvas.image"))
    scale = canvas.rect["width"] / SIZE[1]
    x, y = ((left + right) / 2 - SIZE[1] / 2) * scale, ((top + bottom) / 2 - SIZE[0] / 2) * scale
    browser.script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser.driver).move_to_element_with_offset(canvas, round(x), round(y)).click().perform()
