"""The page behind a reverse proxy: page, WebSocket, redirect and cookie, and what is said without the setting."""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest

from benchmarks.cameras import free_port
from roadmask.engines.errors import PageError
from roadmask.streaming.page import LivePage
from roadmask.streaming.page.public_url import PublicUrl
from support.browser import Browser
from support.live_feed import ScriptedLive, image_of
from support.page_browser import wait_for_images
from support.page_viewer import Viewer, get, run, serving
from support.pages import DOCS, code_of
from support.patience import wait_until
from support.reverse_proxy import KEPT, ReverseProxy

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who gets in


@pytest.mark.parametrize(
    ("text", "origin", "prefix", "shown"),
    [
        ("https://example.org", "https://example.org", "", "https://example.org/"),
        ("https://Example.org:443/cams", "https://example.org", "/cams", "https://example.org/cams/"),
        ("http://nas.home:8080/a/b-c_1/", "http://nas.home:8080", "/a/b-c_1", "http://nas.home:8080/a/b-c_1/"),
        ("http://[2001:DB8::1]:80/", "http://[2001:db8::1]", "", "http://[2001:db8::1]/"),
        (" https://k\u00e4m.example/ ", "https://xn--km-via.example", "", "https://xn--km-via.example/"),
    ],
)
def test_public_urls_take_the_form_of_browsers(text: str, origin: str, prefix: str, shown: str) -> None:
    url = PublicUrl.parse(text)
    assert (url.origin, url.prefix, str(url)) == (origin, prefix, shown)


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.org", "ftp://example.org", "https://", "https:///cams", "https://eve:pass@h/", "8642"),
        *("https://h/?a=secret", "https://h/#b", "https://h:99999/", "https://h//x", "https://h/{a}", "https://h/a b"),
    ],
)
def test_a_public_url_that_is_none_says_what_was_expected(text: str) -> None:
    with pytest.raises(PageError, match=r"--page-url .*in front of the reverse proxy") as raised:
        LivePage("127.0.0.1:0", public_url=text)
    assert not {"pass", "secret"} & set(re.split(r"\W", str(raised.value)))


async def visit(opened: str, origin: str, headers: dict[str, str]) -> tuple[str, dict[str, str], set[str]]:
    """Opens a page with its token as a browser does; gives where it ends, its cookies and what it could load.

    Cookies are kept as a browser keeps them: below the folder of the address that set them.
    """
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers) as session:
        async with session.get(opened, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            cookie = {name.lower(): value for name, _, value in map(split, answer.headers["Set-Cookie"].split(";"))}
            at = urljoin(opened, answer.headers["Location"])
        pair = answer.headers["Set-Cookie"].partition(";")[0]
        folder = opened.partition("?")[0].rpartition("/")[0]
        assert at.startswith(folder + "/")
        loaded = set()
        for path in ("", "static/main.js", "api/history", "healthz"):
            async with session.get(urljoin(at, path), headers={"Cookie": pair}) as answer:
                if answer.status in {200, 503}:
                    loaded.add(path)
        async with session.ws_connect(urljoin(at, "ws"), headers={"Cookie": pair, "Origin": origin}) as socket_:
            await Viewer(socket_).image()
            loaded.add("ws")
    return at, cookie, loaded


def split(part: str) -> tuple[str, str, str]:
    return part.strip().partition("=")


ALL = {"", "static/main.js", "api/history", "healthz", "ws"}


@pytest.mark.parametrize("listens_at", ["127.0.0.1", EVERYWHERE])
@pytest.mark.parametrize("keeps_prefix", [False, True])
@pytest.mark.parametrize("host", [None, "example.org", "upstream_name"])
@pytest.mark.parametrize(
    "public", ["https://example.org/front/door/", "https://example.org/", "http://example.org:8080/cams"]
)
def test_the_page_works_behind_a_proxy(public: str, host: str | None, keeps_prefix: bool, listens_at: str) -> None:
    url = PublicUrl.parse(public)
    with serving(listens_at, public_url=public) as page:
        page.publish(image_of())
        printed, _, token = page.url.partition("?token=")
        assert (printed, len(token) >= 32) == (str(url), True)
        proxy = ReverseProxy(f"http://127.0.0.1:{page.port}", host, url.prefix, keeps_prefix)

        async def task() -> None:
            async with proxy.serving() as opened:
                at, cookie, loaded = await visit(f"{opened}?token={token}", url.origin, {})
                assert (at, loaded) == (opened, ALL)
                assert cookie[f"roadmask-{page.port}"] == token
                assert ("secure" in cookie) == url.is_https
                assert "path" not in cookie  # it is that of the folder which was opened
                assert {"httponly", "samesite"} <= set(cookie)

        run(task())


def test_the_setting_opens_the_page_to_nobody_else() -> None:
    with serving(public_url="https://example.org/cams/") as page:
        token = page.url.partition("?token=")[2]
        bearer = {"Authorization": f"Bearer {token}"}
        for path in ("/", "/cams/", "/ws", "/cams/ws", "/metrics", "/cams/api/report", "/cams/static/main.js"):
            assert ask(page, path, Host="example.org")[0] == 401, path
        for origin in ("http://example.org", "https://example.org:8443", "https://example.org.evil.example", "null"):
            assert handshake(page, Origin=origin, Host="127.0.0.1", **bearer) == 403, origin
        for origin in ("https://example.org", f"http://127.0.0.1:{page.port}"):
            assert handshake(page, Origin=origin, Host=f"127.0.0.1:{page.port}", **bearer) == 101, origin
        status, headers = ask(page, "/cams?token=x", **bearer)
        assert (status, headers["Location"]) == (308, "cams/?token=x")


def ask(page: LivePage, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Asks the page itself, past its proxy."""

    async def task() -> tuple[int, dict[str, str]]:
        url = f"http://127.0.0.1:{page.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, allow_redirects=False) as got:
            return got.status, dict(got.headers)

    return run(task())


def handshake(page: LivePage, **headers: str) -> int:
    async def task() -> int:
        url = f"http://127.0.0.1:{page.port}/ws"
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(url, headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    return run(task())


@contextmanager
def logged(name: str) -> Iterator[list[str]]:
    """Gives the messages of one logger, whatever other tests did to the loggers above it."""
    messages: list[str] = []

    class Listing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger(name), Listing(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def test_without_the_setting_page_and_log_say_what_to_set() -> None:
    with logged("roadmask.streaming.page.guard") as said, serving() as page:
        origin = "https://cams.example.org"
        for _ in range(3):
            status, text, _ = get(page, "/ws", Origin=origin)
            assert (status, "--page-url" in text, origin in text) == (403, True, True)
        status, text, _ = get(page, f"/ws?origin={origin}")  # what the page asks when its WebSocket was refused
        assert (status, "--page-url" in text) == (403, True)
        status, text, _ = get(page, "/", Host="cams.example.org")
        assert (status, "--page-url" in text, "open 127.0.0.1" in text) == (403, True, True)
        status, text, _ = get(page, "/ws", **{"Sec-WebSocket-Key": "a"})
        assert (status, "Upgrade" in text) == (426, True)
        assert get(page, f"/ws?origin=http://127.0.0.1:{page.port}")[0] == 426
        for number in range(100):  # nobody can fill the log
            get(page, "/ws", Origin=f"https://{number}.example")
    assert sum(origin in text for text in said) == 1
    assert sum("'cams.example.org'" in text for text in said) == 1
    assert sum("has to pass on the headers Upgrade and Connection" in text for text in said) == 1
    assert len(said) <= 8


@pytest.mark.ci
def test_a_browser_says_what_the_proxy_lacks(browser: Browser) -> None:
    with serving() as page:

        async def task() -> None:
            plain = ReverseProxy(f"http://127.0.0.1:{page.port}", prefix="/cams")
            lacking = ReverseProxy(f"http://127.0.0.1:{page.port}", KEPT, prefix="/cams", passes_websockets=False)
            async with plain.serving() as opened:
                await in_thread(browser, opened, "start roadmask with --page-url")
            async with lacking.serving() as opened:
                await in_thread(browser, opened, "pass on the headers Upgrade and Connection")

        run(task())


async def in_thread(browser: Browser, opened: str, words: str) -> None:
    def look() -> None:
        browser.open(opened)
        browser.wait(words, lambda: words in browser.text("#banner"))

    await asyncio.to_thread(look)


@contextmanager
def nginx(folder: Path, program: str, location: str) -> Iterator[str]:
    """Serves with a location of a server block; gives the address."""
    port = free_port()
    folders = "".join(
        f"{name}_temp_path {folder / name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""
        daemon off; master_process off; pid {folder / "pid"}; error_log {folder / "error.log"};
        events {{}}
        http {{ access_log off; {folders} server {{ listen 127.0.0.1:{port}; {location} }} }}"""
    (folder / "nginx.conf").write_text(text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), "nginx listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def small_proxy(location: str) -> Iterator[str]:
    """Serves as a location of nginx says; gives the address."""
    path, target = re.findall(r"location (\S+)/ |proxy_pass (\S+);", location)
    passes = {"Upgrade $http_upgrade;", 'Connection "upgrade";'} <= set(re.findall(r"proxy_set_header (.*)", location))
    proxy = ReverseProxy(
        target[1].rstrip("/"),
        prefix=path[0],
        keeps_prefix=not target[1].endswith("/"),
        passes_websockets=passes and "proxy_http_version 1.1;" in location,
    )
    started: queue.Queue[str] = queue.Queue()
    stopping = threading.Event()

    async def serve() -> None:
        async with proxy.serving() as opened:
            started.put(opened.removesuffix(f"{path[0]}/"))
            await asyncio.to_thread(stopping.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield started.get()
    finally:
        stopping.set()
        thread.join()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.ci
@pytest.mark.parametrize("with_nginx", [False, True])
def test_the_lines_for_nginx_in_the_docs_work(browser: Browser, tmp_path: Path, with_nginx: bool) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if with_nginx and program is None:
        return  # the small proxy stands for it where it is not installed
    (snippet,) = (code.text for code in code_of(DOCS / "how-to" / "live-page.md") if code.language == "nginx")
    port = free_port()
    location = snippet.replace("8642", str(port))
    with nginx(tmp_path, str(program), location) if with_nginx else small_proxy(location) as proxied:
        public = f"{proxied}/cameras/"
        with LivePage(f"127.0.0.1:{port}", public_url=public) as page, ScriptedLive(page, cameras=("front",)):
            browser.open(page.url)
            wait_for_images(browser, "front")
            assert browser.driver.current_url == public
            assert browser.script("return document.cookie") == ""  # it is HttpOnly
            assert browser.console() == []
