"""One browser: what it gets, and when.

A client has at most two images of a camera in flight; the next one is sent when it says that it has drawn one, and is
then the newest. A slow client therefore sees fewer images, never older ones, and a client that stops reading costs
nothing but its socket until the heartbeat ends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import WSMsgType, web

from roadmask.streaming.page.feed import Feed
from roadmask.streaming.page.history import KeptImage
from roadmask.streaming.page.wire import to_json

IN_FLIGHT_MAX = 2
"""Maximum number of images of a camera that are sent and not yet drawn: one is on the wire while one is decoded."""
_HEARTBEAT_S = 10.0
_CLOSE_S = 1.0
"""Seconds that a page may take to answer the closing handshake."""
_MESSAGE_MAX = 1024
"""Maximum length of a message from a page, bytes."""

_log = logging.getLogger(__name__)


class PageClient:
    """Serves one browser; lives in the server's loop."""

    def __init__(self, feed: Feed, server: str) -> None:
        self._feed = feed
        self._server = server
        self._socket = web.WebSocketResponse(
            timeout=_CLOSE_S, heartbeat=_HEARTBEAT_S, max_msg_size=_MESSAGE_MAX, compress=False
        )
        self._transport: asyncio.WriteTransport | None = None
        self._wake = asyncio.Event()
        self._watching = True
        self._status: str | None = None
        self._pong: str | None = None
        self._last: dict[str, KeptImage] = {}
        """The last image sent, by camera."""
        self._in_flight: dict[str, dict[int, float]] = {}
        """Camera -> key -> capture time of each image that was sent and is not yet drawn."""

    def wake(self) -> None:
        """Notes that there may be a newer image."""
        self._wake.set()

    def tell(self, status: str) -> None:
        """Sends a status as soon as possible, instead of one that has not been sent yet."""
        self._status = status
        self._wake.set()

    async def close(self) -> None:
        """Ends the connection: the server is going away."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(code=1001, message=b"the run ends")
        except TimeoutError:  # one that does not read does not take the close message either
            if self._transport is not None:
                self._transport.abort()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serves the browser until it leaves."""
        self._transport = request.transport
        await self._socket.prepare(request)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT or not self._handle(message.data):
                    await self._socket.close(code=1008, message=b"not a message of the live page")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return self._socket

    async def _write(self) -> None:
        limits = self._feed.limits
        hello = {"type": "hello", "server": self._server, "seconds": limits.history_seconds}
        try:
            await self._socket.send_str(to_json(hello))
            while True:
                await self._wake.wait()
                self._wake.clear()
                while (message := self._next()) is not None:
                    if isinstance(message, str):
                        await self._socket.send_str(message)
                    else:
                        await self._socket.send_bytes(message)
        except (ConnectionError, RuntimeError):  # it left while something was being sent
            _log.debug("a page left")

    def _next(self) -> str | bytes | None:
        """Returns what to send now: small messages first, then the camera that has waited longest."""
        if self._pong is not None:
            message, self._pong = self._pong, None
            return message
        if self._status is not None:
            message, self._status = self._status, None
            return message
        if not self._watching:
            return None
        ready = [image for image in self._feed.newest() if self._wants(image)]
        if not ready:
            return None
        image = min(ready, key=lambda one: self._last[one.camera].key if one.camera in self._last else 0)
        last = self._last.get(image.camera)
        if last is not None:
            self._feed.skipped[image.camera] += image.number - last.number - 1
        self._feed.sent[image.camera] += 1
        self._last[image.camera] = image
        self._in_flight.setdefault(image.camera, {})[image.key] = image.captured_ms
        return image.message

    def _wants(self, image: KeptImage) -> bool:
        last = self._last.get(image.camera)
        is_newer = last is None or image.key > last.key
        return is_newer and len(self._in_flight.get(image.camera, ())) < IN_FLIGHT_MAX

    def _handle(self, text: str) -> bool:
        """Handles a message of the page; returns False if it is not one that our page sends."""
        try:
            said: Any = json.loads(text)
            match said:
                case {"type": "drawn" | "passed" as what, "camera": str(camera), "key": int(key)}:
                    captured_ms = self._in_flight.get(camera, {}).pop(key, None)
                    if captured_ms is not None and what == "drawn":
                        self._feed.drawn(camera, captured_ms)
                case {"type": "ping", "sent": int() | float() as sent}:
                    self._pong = to_json({"type": "pong", "sent": sent, "at": self._feed.now_ms()})
                case {"type": "watch", "images": bool(images)}:
                    self._watching = images
                case _:
                    return False
        except (ValueError, RecursionError):  # not JSON, or too deeply nested
            return False
        self._wake.set()
        return True
