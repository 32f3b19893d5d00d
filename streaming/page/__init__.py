"""The page that shows a live run, and what monitoring reads: no internet, no build step."""

from roadmask.streaming.page.address import DEFAULT_ADDRESS, PageAddress
from roadmask.streaming.page.feed import PageLimits
from roadmask.streaming.page.live_page import LivePage

__all__ = ["DEFAULT_ADDRESS", "LivePage", "PageAddress", "PageLimits"]
