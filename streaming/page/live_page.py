"""The page of a live run.

The run hands over images and reports from any thread and never waits::

    with LivePage(PageAddress.parse("127.0.0.1:8642")) as page:
        print(page.url)
        page.publish(image)
        page.report(report)
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import choose_encoder

from roadmask.streaming.live.reports import Ages, LiveImage, LiveReport
from roadmask.streaming.page.address import DEFAULT_ADDRESS, PageAddress
from roadmask.streaming.page.feed import Feed, PageLimits
from roadmask.streaming.page.health import Health, liveness, readiness
from roadmask.streaming.page.metrics import run_registry
from roadmask.streaming.page.server import PageServer, json_response
from roadmask.streaming.page.wire import report_fields


class LivePage(PageServer):
    """Serves the page. `publish`, `report` and `page_ages` may be called from any thread, before and after its life."""

    def __init__(
        self,
        address: PageAddress | str = DEFAULT_ADDRESS,
        *,
        token: str | None = None,
        limits: PageLimits | None = None,
        public_url: str | None = None,
    ) -> None:
        """Creates a page that is not served yet.

        Args:
            address: where to listen: an address, or a text as `PageAddress.parse` reads it.
            token: token that browsers must send; if None, one is generated, or none is needed at a loopback address.
            limits: how much is kept and served; the defaults if None.
            public_url: where people open the page if a reverse proxy stands before it, such as
                `https://example.org/cameras/`; the page then always needs a token.

        Raises:
            PageError: an address cannot be read, the token cannot be used, or the host is unknown.
        """
        super().__init__(Feed(limits or PageLimits()), address, token, public_url)
        self._registry = run_registry(self._feed, lambda: len(self._clients))

    def publish(self, image: LiveImage) -> None:
        """Shows an image to everybody who watches; never waits for them."""
        self._feed.publish(image)
        with self._wake_lock:
            if self._wake_pending or self._loop is None:
                return  # one wake-up serves all images published before it comes
            self._wake_pending = True
            self._loop.call_soon_threadsafe(self._wake_clients)

    def report(self, report: LiveReport) -> None:
        """Takes the newest state of the run."""
        self._feed.report(report)

    def page_ages(self, camera: str) -> Ages | None:
        """Returns the ages of a camera's images when browsers had drawn them, over the last minute.

        They are measured by our own clock when the browser's message arrives, so they include its way back.
        """
        return self._feed.page_ages(camera)

    def _routes(self) -> dict[str, Handler]:
        return {
            "/api/report": self._api_report,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }

    def _wake_clients(self) -> None:
        with self._wake_lock:
            self._wake_pending = False
        for client in self._clients:
            client.wake()

    async def _api_report(self, _request: web.Request) -> web.Response:
        report, _ = self._feed.last_report()
        if report is None:
            return json_response({"error": "the run has not reported yet"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return json_response(report_fields(report))

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _verdict(liveness(*self._feed.last_report(), self._feed.limits))

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _verdict(readiness(*self._feed.last_report(), self._feed.limits))

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _verdict(health: Health) -> web.Response:
    fields = {"status": "ok" if health.ok else "unavailable", "reasons": health.reasons}
    return json_response(fields, HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE)
