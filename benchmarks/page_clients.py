"""Browsers as a page sees them, well behaved or not."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from contextlib import suppress

import aiohttp


class PageClients:
    """Opens the page's socket several times, in a thread.

    Args:
        url: of the page.
        count: how many.
        reading: False: opens the socket and never reads from it.
    """

    def __init__(self, url: str, count: int, *, reading: bool) -> None:
        self.images = 0
        """That were drawn, by all of them."""
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._reading = reading
        self._tasks = [self._loop.create_task(self._client()) for _ in range(count)]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leaves."""
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _run(self) -> None:
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _client(self) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self._url}ws") as page:
            if not self._reading:
                if page._conn is not None and page._conn.transport is not None:
                    page._conn.transport.pause_reading()
                await asyncio.Event().wait()
            async for message in page:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.images += 1
                    (length,) = struct.unpack_from(">I", message.data)
                    header = json.loads(message.data[4 : 4 + length])
                    with suppress(ConnectionError):
                        await page.send_json({"type": "drawn", "camera": header["camera"], "key": header["key"]})
