"""Browsers that open the live page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.browser import Browser


@pytest.fixture(scope="package")
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
