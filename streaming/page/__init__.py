"""The page that shows a live run, and what monitoring reads: no internet, no build step."""

from roadmask.engines.extras import missing_package

try:
    import aiohttp  # noqa: F401
    import prometheus_client  # noqa: F401
except ModuleNotFoundError as missing:
    raise missing_package(missing.name or "aiohttp", "the live page", extra="page") from missing

from roadmask.streaming.page.address import DEFAULT_ADDRESS, PageAddress
from roadmask.streaming.page.feed import PageLimits
from roadmask.streaming.page.live_page import LivePage

__all__ = ["DEFAULT_ADDRESS", "LivePage", "PageAddress", "PageLimits"]
