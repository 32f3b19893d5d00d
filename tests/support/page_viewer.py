"""A live page over real sockets, and a viewer of it without a browser."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.page import LivePage, PageAddress
from support.live_feed import image_of
from support.patience import PATIENCE_S

T = TypeVar("T")


def run(task: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(task, 3 * PATIENCE_S))


@contextmanager
def serving(host: str = "127.0.0.1", **options: Any) -> Iterator[LivePage]:
    with LivePage(PageAddress(host, 0), **options) as page:
        yield page


def base(page: LivePage) -> str:
    return page.url.partition("?")[0].rstrip("/")


def get(page: LivePage, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an answer; redirections are not followed."""

    async def ask() -> tuple[int, str, dict[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(base(page) + path, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text(errors="replace"), dict(answer.headers)

    return run(ask())


def get_json(page: LivePage, path: str) -> Any:
    status, text, _ = get(page, path)
    assert status == 200, text
    return json.loads(text)


def metrics(page: LivePage) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    status, text, _ = get(page, "/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read_image(message: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length]), message[4 + length :]


class Viewer:
    """A page without a browser: reads images and says that it has drawn them."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket_
        self.texts: list[dict[str, Any]] = []

    async def image(self, *, drawn: bool = True) -> tuple[dict[str, Any], bytes]:
        while True:
            message = await self.socket.receive(PATIENCE_S)
            if message.type is aiohttp.WSMsgType.BINARY:
                header, jpeg = read_image(message.data)
                if drawn:
                    await self.done(header)
                return header, jpeg
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self.texts.append(json.loads(message.data))

    async def text(self, type_: str) -> dict[str, Any]:
        while True:
            message = await self.socket.receive(PATIENCE_S)
            assert message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}, message
            if message.type is aiohttp.WSMsgType.TEXT and (fields := json.loads(message.data))["type"] == type_:
                return fields

    async def done(self, header: dict[str, Any], what: str = "drawn") -> None:
        await self.socket.send_json({"type": what, "camera": header["camera"], "key": header["key"]})


def watch(page: LivePage, see: Callable[[Viewer], Awaitable[T]], **headers: str) -> T:
    async def task() -> T:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(base(page) + "/ws", headers=headers) as socket_,
        ):
            return await see(Viewer(socket_))

    return run(task())


def stopped_reader(page: LivePage) -> socket.socket:
    """A browser that opens the page's WebSocket and never reads from it."""
    host, _, port = base(page).removeprefix("http://").rpartition(":")
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect((host, int(port)))
    key = base64.b64encode(os.urandom(16)).decode()
    opened.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return opened


def large_image(index: int) -> LiveImage:
    """Two megabytes, which no socket buffers; nobody here decodes it."""
    return replace(image_of(frame_index=index), jpeg=bytes(2 * 2**20))
