"""Who can see the live page."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from roadmask.engines.errors import PageError
from roadmask.streaming.page import LivePage, PageAddress, PageLimits
from support.live_feed import image_of
from support.page_viewer import base, get, run, serving, watch
from support.patience import wait_until

CHOSEN = "chosen-by-the-user"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who gets in


def test_loopback_needs_no_token_but_its_own_name() -> None:
    with serving() as page:
        port = page.url.rstrip("/").rpartition(":")[2]
        assert "token" not in page.url
        assert get(page, "/")[0] == 200
        for own in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
            assert get(page, "/api/history", Host=own)[0] == 200, own
        for foreign in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "localhost.evil.example", "[", ""):
            for path in ("/", "/metrics", "/healthz", "/static/main.js", "/api/history"):
                status, text, _ = get(page, path, Host=foreign)
                assert (status, "127.0.0.1" in text) == (403, True), (foreign, path)


def test_pages_of_other_origins_may_not_watch() -> None:
    async def see(page: LivePage, origin: str) -> int:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(base(page) + "/ws", headers={"Origin": origin}) as socket_:
                    return 101 if not socket_.closed else 0
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    with serving() as page:
        assert run(see(page, base(page))) == 101
        for origin in (
            "http://evil.example",
            "null",
            "",
            "http://[",
            "http://127.0.0.1:1",
            base(page) + ".evil.example",
        ):
            assert run(see(page, origin)) == 403


def test_any_other_address_needs_the_token() -> None:
    with serving(EVERYWHERE) as page:
        token = page.url.partition("?token=")[2]
        assert len(token) >= 32
        assert EVERYWHERE not in page.url  # nobody could open that
        for path in ("/", "/ws", "/metrics", "/healthz", "/readyz", "/api/report", "/api/history", "/static/main.js"):
            assert get(page, path)[0] == 401, path
            assert get(page, path, Authorization="Bearer wrong")[0] == 403, path
            assert get(page, path, Cookie=f"roadmask-{page.port}=wrong")[0] == 403, path
        assert get(page, "/?token=wrong")[0] == 403
        assert get(page, "/?token=%C3%A4")[0] == 403
        assert get(page, "/metrics", Authorization=f"Bearer {token}")[0] == 200
        assert get(page, "/metrics?token=" + token)[0] == 401  # addresses of programs end up in logs
        status, text, headers = get(page, "/")
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="roadmask"')
        assert "roadmask printed" in text
        status, _, headers = get(page, "/?token=" + token)
        assert (status, headers["Location"]) == (303, "./")  # below whatever path a proxy serves it
        assert {"HttpOnly", "SameSite=Lax"} == set(headers["Set-Cookie"].split("; ")[1:])
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert get(page, "/", Cookie=cookie)[0] == 200
        page.publish(image_of())
        assert watch(page, lambda viewer: viewer.image(), Cookie=cookie)[0]["camera"] == "front"


def test_idle_connections_cannot_use_up_the_process() -> None:
    with serving(limits=PageLimits(connections=4)) as page:
        idle = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(4)]
        try:
            wait_until(lambda: refused_at_once(page.port), "a fifth connection is closed")
        finally:
            for one in idle:
                one.close()
        wait_until(lambda: answers(page), "there is room again")


def answers(page: LivePage) -> bool:
    try:
        return get(page, "/")[0] == 200
    except aiohttp.ClientError:  # closed at once, as long as the page believes that the idle ones are there
        return False


def refused_at_once(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)) as opened:
        opened.settimeout(0.3)
        try:
            return opened.recv(1) == b""
        except TimeoutError:
            return False


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", b"Cookie: roadmask-%d=\xff", b"Authorization: \xc3"]
)
def test_a_token_that_is_no_text_is_refused_like_any_other(header: bytes) -> None:
    with serving(EVERYWHERE) as page, socket.create_connection(("127.0.0.1", page.port)) as opened:
        sent = header.replace(b"%d", str(page.port).encode())
        opened.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + sent + b"\r\n\r\n")
        answer = opened.makefile("rb").read()
    assert answer.split(b" ")[1] in {b"400", b"401", b"403"}, answer


def test_every_run_has_a_token_of_its_own() -> None:
    with serving(EVERYWHERE) as one, serving(EVERYWHERE) as two:
        assert one.url.partition("?token=")[2] != two.url.partition("?token=")[2]


def test_a_token_of_the_users_choice_also_guards_loopback() -> None:
    with serving(token=CHOSEN) as page:
        assert page.url.endswith("/?token=" + CHOSEN)
        assert get(page, "/")[0] == 401
        assert get(page, "/", Authorization=f"bearer {CHOSEN}")[0] == 200
    for unfit in ("short", "with a space in it...", "ä" * 20, ""):
        with pytest.raises(PageError, match="16 to 256 letters"):
            LivePage(PageAddress("127.0.0.1", 0), token=unfit)


def test_answers_let_no_browser_look_elsewhere() -> None:
    with serving() as page:
        for path in ("/", "/static/main.js", "/static/nothing.js", "/api/history", "/nothing"):
            _, _, headers = get(page, path)
            assert headers["Content-Security-Policy"].startswith("default-src 'self';"), path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert get(page, "/static/../server.py")[0] == 404
        assert get(page, "/static/%2e%2e/server.py")[0] in {403, 404}
