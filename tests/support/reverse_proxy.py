"""A reverse proxy that changes what real ones change: host, path, and whether WebSockets pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

_OF_ONE_HOP = {"connection", "upgrade", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}

KEPT = "$http_host"


@dataclass(frozen=True)
class ReverseProxy:
    """What a proxy does with requests. The defaults are those of nginx with a path on both sides."""

    target: str
    """Address of the page without a slash at its end."""
    host: str | None = None
    """What it sends as `Host`; the target's own if None, the browser's if `KEPT`."""
    prefix: str = ""
    """Path below which it serves the page."""
    keeps_prefix: bool = False
    """Whether the page sees that path."""
    passes_websockets: bool = True
    """Whether it passes on the headers Upgrade and Connection."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serves on a port of its own; gives its address, with the path and a slash."""
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            app = web.Application()

            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._handle(request, session)

            app.router.add_route("*", "/{rest:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}{self.prefix}/"
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request, session: aiohttp.ClientSession) -> web.StreamResponse:
        if not request.path.startswith(f"{self.prefix}/"):
            return web.Response(status=404)
        path = request.raw_path if self.keeps_prefix else request.raw_path.removeprefix(self.prefix) or "/"
        dropped = _OF_ONE_HOP if self.host == KEPT else {*_OF_ONE_HOP, "host"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        if self.host not in {None, KEPT}:
            headers["Host"] = str(self.host)
        if "Upgrade" in request.headers and self.passes_websockets:
            return await self._pipe(request, session, self.target + path, headers)
        async with session.request(
            request.method, self.target + path, headers=headers, allow_redirects=False
        ) as answered:
            answer = web.Response(status=answered.status, body=await answered.read())
            for name, value in answered.headers.items():
                if name.lower() not in _OF_ONE_HOP:
                    answer.headers.add(name, value)
            return answer

    async def _pipe(
        self, request: web.Request, session: aiohttp.ClientSession, url: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket")}
        try:
            far = await session.ws_connect(url, headers=kept)
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status)
        near = web.WebSocketResponse()
        await near.prepare(request)

        async def pump(
            source: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
            target: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
        ) -> None:
            async for message in source:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await target.send_str(message.data)
                else:
                    await target.send_bytes(message.data)

        pumps = [asyncio.create_task(pump(near, far)), asyncio.create_task(pump(far, near))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in pumps:
            task.cancel()
        await asyncio.gather(far.close(), near.close(), *pumps, return_exceptions=True)
        return near
