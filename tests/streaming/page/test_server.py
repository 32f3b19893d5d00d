"""Where the live page is served, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from roadmask.engines.errors import PageError
from roadmask.streaming.page import LivePage, PageAddress
from support.page_viewer import Viewer, base, get, large_image, metrics, run, serving, stopped_reader
from support.patience import PATIENCE_S, wait_until

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who gets in


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8642", "127.0.0.1", 8642),
        ("[::1]:0", "::1", 0),
        ("8642", "127.0.0.1", 8642),
        (":80", "127.0.0.1", 80),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert PageAddress.parse(text) == PageAddress(host, port)


@pytest.mark.parametrize("text", ["", "localhost", "::1:8642", "127.0.0.1:99999", "127.0.0.1:http", "127.0.0.1:-1"])
def test_bad_addresses_say_what_was_expected(text: str) -> None:
    with pytest.raises(PageError, match=r"8642"):
        PageAddress.parse(text)


def test_a_port_in_use_names_it_and_what_to_do() -> None:
    with serving() as page:
        port = page.port
        second = LivePage(PageAddress("127.0.0.1", port))
        with pytest.raises(PageError, match=rf"port {port} is in use .* --page 127\.0\.0\.1:{port + 1}"):
            second.start()
        assert get(page, "/")[0] == 200
    with second:  # the port is free again at once, and the same page may try again
        assert get(second, "/")[0] == 200


@pytest.mark.parametrize(
    ("host", "message"), [("203.0.113.7", "no such address"), ("no-such-host.invalid", "no such host")]
)
def test_addresses_of_others_are_refused(host: str, message: str) -> None:
    with pytest.raises(PageError, match=message):
        LivePage(PageAddress(host, 0)).start()


def open_files() -> Counter[str]:
    """Counts what this process holds open, by what it is: sockets and pipes have numbers of their own."""
    held: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder's own, which is closed by now
            held[str(link.readlink())] += 1
    return held


def test_stopping_says_goodbye_and_leaves_nothing_behind() -> None:
    # What tests before it left to the garbage collector may go meanwhile: only what comes is its own.
    threads, files = set(threading.enumerate()), open_files()

    async def see(page: LivePage) -> int | None:
        async with aiohttp.ClientSession() as session, session.ws_connect(base(page) + "/ws") as socket_:
            await Viewer(socket_).text("hello")
            stopped = asyncio.get_running_loop().run_in_executor(None, page.stop)
            while not (await socket_.receive(PATIENCE_S)).type.name.startswith("CLOS"):
                pass
            await stopped
            return socket_.close_code

    for _ in range(3):
        page = LivePage(PageAddress("127.0.0.1", 0))
        page.start()
        assert run(see(page)) == 1001
        page.stop()
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files


def test_a_viewer_that_stopped_reading_does_not_hold_up_the_end() -> None:
    page = LivePage(PageAddress("127.0.0.1", 0))
    page.start()
    thread = page._thread
    assert thread is not None
    with stopped_reader(page):
        wait_until(lambda: metrics(page)["roadmask_page_clients", ()] == 1, "the stopped reader is connected")
        page.publish(large_image(0))
        page.publish(large_image(1))
        page.stop()
    assert not thread.is_alive()
