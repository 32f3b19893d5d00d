"""A real Chromium, without a window, that opens the live page."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from support.patience import PATIENCE_S


class Browser:
    """A Chromium with the size of a screen or of a phone; notes every request it makes."""

    def __init__(self, *, width: int = 1280, height: int = 900, phone: bool = False, dark: bool = False) -> None:
        programs = shutil.which("chromium"), shutil.which("chromedriver")
        if None in programs:
            pytest.skip("needs the Debian packages chromium and chromium-driver, see .ci/apt.txt")
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs[0])
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-proxy-server",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        if phone:
            metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True, "mobile": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(str(programs[1])))
        self.driver.set_page_load_timeout(PATIENCE_S)
        self.driver.set_script_timeout(PATIENCE_S)
        if not phone:
            screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        self.driver.get(url)

    def forget(self) -> None:
        """Leaves the page, and drops what was noted of it."""
        self.open("about:blank")
        self.console()
        self.requests()

    def script(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def answer(self, code: str, *arguments: object) -> Any:
        """What a script gives to the function that is its last argument, whenever it does."""
        return self.driver.execute_async_script(code, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text of an element as the page holds it, shown or not; empty where there is none."""
        return str(self.script("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def wait(self, what: str, condition: Callable[[], object], seconds: float = PATIENCE_S) -> Any:
        """Returns what the condition gives as soon as that is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found = condition()
            except StaleElementReferenceException:
                found = None
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds:g} s in vain: {what}\n{self.console()}")

    def follow(self, camera: str, track_id: int) -> None:
        """Follows a track by its row in the camera's time line."""
        selector = f'.camera[data-camera="{camera}"] .track[data-track="{track_id}"]'
        self.wait("a row of tracks", lambda: self.find_all(selector))
        row = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", row)
        row.click()

    def screenshot(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))

    def console(self) -> list[str]:
        """What the page complained of since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address asked for since the last call, WebSockets included."""
        return list(self._requests())

    def _requests(self) -> Iterator[str]:
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                yield event["params"]["request"]["url"]
            elif event["method"] == "Network.webSocketCreated":
                yield event["params"]["url"]


@contextmanager
def opened(url: str, **options: Any) -> Iterator[Browser]:
    """A browser with the page open."""
    with Browser(**options) as browser:
        browser.open(url)
        yield browser


def hosts(addresses: list[str]) -> set[str | None]:
    """The hosts of addresses that lead anywhere at all."""
    return {urlsplit(address).hostname for address in addresses if urlsplit(address).scheme not in {"data", "blob"}}
