"""The server of the page: a thread with its own event loop, which serves a feed to browsers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from roadmask.engines.errors import PageError
from roadmask.streaming.page.address import PageAddress
from roadmask.streaming.page.client import PageClient
from roadmask.streaming.page.feed import Feed
from roadmask.streaming.page.guard import Guard, add_headers
from roadmask.streaming.page.public_url import PublicUrl
from roadmask.streaming.page.wire import to_json

STATIC = Path(__file__).parent / "static"
"""Folder of the files of the page."""
_STATUS_EVERY_S = 0.5
_STOP_S = 10.0

_log = logging.getLogger(__name__)


class PageServer:
    """Serves the page of a feed: its files, its images and the socket that tells browsers its status.

    Args:
        feed: what is shown.
        address: where to listen: an address, or a text as `PageAddress.parse` reads it.
        token: token that browsers must send; if None, one is generated, or none is needed at a loopback address.
        public_url: where people open the page if a reverse proxy stands before it, such as
            `https://example.org/cameras/`; the page then always needs a token.

    Raises:
        PageError: an address cannot be read, the token cannot be used, or the host is unknown.
    """

    def __init__(
        self, feed: Feed, address: PageAddress | str, token: str | None, public_url: str | None = None
    ) -> None:
        address = PageAddress.parse(address) if isinstance(address, str) else address
        self._public_url = None if public_url is None else PublicUrl.parse(public_url)
        Guard(address, token, address.port)  # refuses an unusable token before anything is started
        self._address = address
        self._token = token
        self._feed = feed
        self._server = secrets.token_hex(8)
        self._clients: set[PageClient] = set()
        self._port = address.port
        self._guard: Guard | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._wake_lock = threading.Lock()
        self._wake_pending = False

    @property
    def url(self) -> str:
        """The address to open, with the token if one is needed; known once started."""
        token = self._guard.token if self._guard is not None else None
        opened = self._public_url or f"http://{self._address.url_host()}:{self._port}/"
        return f"{opened}?token={token}" if token else str(opened)

    @property
    def port(self) -> int:
        """The port that the page listens on; if any free one was asked for, known once started."""
        return self._port

    def start(self) -> None:
        """Starts to listen, and returns when the page can be opened.

        Raises:
            PageError: the port is in use, or the address does not belong to this machine.
        """
        if self._thread is not None:
            raise RuntimeError("expected a page that is not served yet: call start once")
        sockets = self._address.bind()
        self._port = sockets[0].getsockname()[1]
        self._guard = Guard(self._address, self._token, self._port, self._public_url)
        self._failure = None
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(sockets, self._guard, started), name="live-page", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise PageError(
                f"the page at {self._address} did not start: {self._failure}; choose another address with --page."
            ) from self._failure

    def stop(self) -> None:
        """Disconnects every browser, closes the port and ends the thread; does nothing if the page is not served."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._wake_lock:
            if self._loop is not None and self._stopping is not None:
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP_S)
        if thread.is_alive():
            _log.warning("the server of the page did not end within %g s", _STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _run(self, sockets: list[socket.socket], guard: Guard, started: threading.Event) -> None:
        try:
            asyncio.run(self._serve(sockets, guard, started))
        except Exception as error:
            self._failure = error
            if started.is_set():
                _log.exception("the server of the page failed; the run continues without it")
        finally:
            for bound in sockets:
                bound.close()
            started.set()

    async def _serve(self, sockets: list[socket.socket], guard: Guard, started: threading.Event) -> None:
        runner = web.AppRunner(self._application(guard), handle_signals=False, access_log=None, shutdown_timeout=1.0)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        await runner.setup()
        listening: list[asyncio.Server] = []
        try:
            for bound in sockets:
                listening.append(await loop.create_server(self._connections_of(runner), sock=bound))  # noqa: PERF401
            with self._wake_lock:
                self._loop, self._stopping = loop, stopping
            started.set()
            await self._tell_until(stopping)
        finally:
            with self._wake_lock:
                self._loop, self._stopping, self._wake_pending = None, None, False
            for one in listening:
                one.close()
            await asyncio.gather(*(client.close() for client in list(self._clients)), return_exceptions=True)
            await runner.cleanup()

    def _connections_of(self, runner: web.AppRunner) -> Callable[[], asyncio.BaseProtocol]:
        """Returns what serves a new connection: the application, unless there are too many."""

        def connection() -> asyncio.BaseProtocol:
            server = runner.server
            if server is None or len(server.connections) >= self._feed.limits.connections:
                return _Refused()
            return server()

        return connection

    async def _tell_until(self, stopping: asyncio.Event) -> None:
        """Sends every page the state of the run twice a second, whether the run reports or not."""
        while not stopping.is_set():
            if self._clients:
                status = self._feed.status()
                for client in self._clients:
                    client.tell(status)
            try:
                await asyncio.wait_for(stopping.wait(), _STATUS_EVERY_S)
            except TimeoutError:
                continue

    def _application(self, guard: Guard) -> web.Application:
        async def socket_handler(request: web.Request) -> web.StreamResponse:
            guard.check_origin(request)
            if "Upgrade" not in request.headers:
                if "Sec-WebSocket-Key" in request.headers:
                    guard.report_no_upgrade()
                raise web.HTTPUpgradeRequired(text="This is a WebSocket: it needs the headers Upgrade and Connection.")
            return await self._serve_client(request)

        app = web.Application(middlewares=[guard.middleware()])
        app.on_response_prepare.append(add_headers)
        # a proxy may remove the path below which it serves the page, or leave it in place
        prefix = "" if self._public_url is None else self._public_url.prefix
        for path in dict.fromkeys(("", prefix)):
            app.add_routes(
                [
                    web.get(f"{path}/", self._index),
                    web.static(f"{path}/static", STATIC),
                    web.get(f"{path}/ws", socket_handler),
                    web.get(f"{path}/api/history", self._api_history),
                    web.get(f"{path}/api/history/{{key:[0-9]{{1,15}}}}", self._api_image),
                    *(web.get(f"{path}{at}", handler) for at, handler in self._routes().items()),
                ]
            )
        if prefix:
            app.router.add_get(prefix, _into_folder)
        return app

    def _routes(self) -> dict[str, Handler]:
        """Returns what this kind of page serves beyond its files, images and status: path -> handler."""
        return {}

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def _serve_client(self, request: web.Request) -> web.StreamResponse:
        limit = self._feed.limits.clients
        if len(self._clients) >= limit:
            raise web.HTTPServiceUnavailable(text=f"{limit} pages are open, which is the maximum: close one of them.")
        client = PageClient(self._feed, self._server)
        client.tell(self._feed.status())
        self._clients.add(client)
        try:
            return await client.serve(request)
        finally:
            self._clients.discard(client)

    async def _api_history(self, _request: web.Request) -> web.Response:
        return json_response(self._feed.history_index())

    async def _api_image(self, request: web.Request) -> web.Response:
        image = self._feed.find(int(request.match_info["key"]))
        if image is None:
            raise web.HTTPNotFound(text="This image is no longer kept: only those of the last minute are.")
        return web.Response(body=image.message, content_type="application/octet-stream")


class _Refused(asyncio.Protocol):
    """A connection that is closed as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _into_folder(request: web.Request) -> web.Response:
    """Sends a browser from /cameras to /cameras/, where relative addresses lead to the page's files."""
    query = f"?{request.query_string}" if request.query_string else ""
    location = f"{request.raw_path.partition('?')[0].rpartition('/')[2]}/{query}"
    return web.Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": location})


def json_response(fields: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Returns fields as a response."""
    return web.Response(text=to_json(fields), status=status, content_type="application/json")
