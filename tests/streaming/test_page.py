"""The server of the live page over real sockets: what it shows, to whom, and that it never waits for anybody."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from roadmask.engines.errors import PageError
from roadmask.streaming.live.reports import CameraState, LivePicture
from roadmask.streaming.page import LivePage, PageAddress, PageLimits, client
from roadmask.streaming.page.client import MOST_UNDER_WAY
from support.live_feed import ScriptedLive, camera_report, picture_of, run_report

PATIENCE_S = 20.0
CHOSEN = "chosen-by-the-user"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who gets in
T = TypeVar("T")


def run(task: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(task, 60))


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
            return answer.status, await answer.text(), dict(answer.headers)

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


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def read_picture(message: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length]), message[4 + length :]


class Viewer:
    """A page without a browser: reads pictures and says that it has drawn them."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket_
        self.texts: list[dict[str, Any]] = []

    async def picture(self, *, drawn: bool = True) -> tuple[dict[str, Any], bytes]:
        while True:
            message = await self.socket.receive(PATIENCE_S)
            if message.type is aiohttp.WSMsgType.BINARY:
                header, jpeg = read_picture(message.data)
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


# pictures


def test_a_picture_arrives_whole() -> None:
    sent = picture_of(index=7)
    with serving() as page:
        page.publish(sent)
        header, jpeg = watch(page, lambda viewer: viewer.picture())
    assert jpeg == sent.jpeg
    assert (header["camera"], header["epoch"], header["index"], header["size"]) == ("front", 0, 7, [270, 480])
    assert header["wall"] == pytest.approx(sent.captured_ns / 1e6, abs=0.01)
    assert 0 <= header["at"] - header["captured"] <= PATIENCE_S * 1000
    assert [(one["id"], one["label"]) for one in header["instances"]] == [(1, "car"), (2, "person"), (3, "car")]
    assert header["instances"][0]["box"] == pytest.approx(sent.instances[0].box, abs=0.06)


def test_every_camera_gets_its_turn_however_fast_another_is() -> None:
    async def see(viewer: Viewer) -> set[str]:
        return {(await viewer.picture())[0]["camera"] for _ in range(12)}

    with serving() as page, ScriptedLive(page, ("front", "rear", "left"), fps=60):
        assert watch(page, see) == {"front", "rear", "left"}


def test_ten_viewers_see_every_camera_in_order() -> None:
    async def see(viewer: Viewer) -> dict[str, list[int]]:
        keys: dict[str, list[int]] = {"front": [], "rear": []}
        for _ in range(12):
            header, _ = await viewer.picture()
            keys[header["camera"]].append(header["key"])
        return keys

    async def all_see(page: LivePage) -> list[dict[str, list[int]]]:
        async with aiohttp.ClientSession() as session:

            async def one() -> dict[str, list[int]]:
                async with session.ws_connect(base(page) + "/ws") as socket_:
                    return await see(Viewer(socket_))

            return await asyncio.gather(*(one() for _ in range(10)))

    with serving() as page, ScriptedLive(page, fps=30):
        seen = run(all_see(page))
        ages = page.page_ages("front")
    for viewer in seen:
        for keys in viewer.values():
            assert len(keys) >= 3
            assert keys == sorted(set(keys))
    assert ages is not None
    assert 0 <= ages.p50_ms <= ages.p95_ms <= ages.p99_ms


def test_one_viewer_too_many_is_refused() -> None:
    async def see(page: LivePage) -> int:
        async with aiohttp.ClientSession() as session, session.ws_connect(base(page) + "/ws"):
            try:
                await session.ws_connect(base(page) + "/ws")
            except aiohttp.WSServerHandshakeError as error:
                return error.status
        return 0

    with serving(limits=PageLimits(clients=1)) as page:
        assert run(see(page)) == 503


def test_a_viewer_that_says_nothing_gets_two_pictures_and_then_the_newest() -> None:
    async def see(viewer: Viewer, page: LivePage) -> list[int]:
        seen = []
        for index in range(MOST_UNDER_WAY):
            page.publish(picture_of(index=index))
            seen.append((await viewer.picture(drawn=False))[0])
        for index in range(MOST_UNDER_WAY, 40):
            page.publish(picture_of(index=index))
        await viewer.text("status")  # whatever was due has come by now
        await viewer.text("status")
        await viewer.done(seen[0])
        return [*(header["index"] for header in seen), (await viewer.picture())[0]["index"]]

    with serving() as page:
        assert watch(page, lambda viewer: see(viewer, page)) == [0, 1, 39]
        found = metrics(page)
    camera = (("camera", "front"),)
    assert found["roadmask_page_published_pictures_total", camera] == 40
    assert found["roadmask_page_sent_pictures_total", camera] == 3
    assert found["roadmask_page_skipped_pictures_total", camera] == 37


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


def large_picture(index: int) -> LivePicture:
    """Two megabytes, which no socket buffers; nobody here decodes it."""
    return replace(picture_of(index=index), jpeg=bytes(2 * 2**20))


def test_a_viewer_that_stops_reading_costs_others_nothing_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_HEARTBEAT_S", 2.0)

    async def see(viewer: Viewer, page: LivePage) -> list[int]:
        seen = []
        for index in range(30):
            page.publish(large_picture(index))
            seen.append((await viewer.picture())[0]["index"])
        return seen

    with serving(limits=PageLimits(history_bytes=0)) as page, stopped_reader(page):
        wait_until(lambda: metrics(page)["roadmask_page_clients", ()] == 1, "the stopped reader is connected")
        assert watch(page, lambda viewer: see(viewer, page)) == list(range(30))
        sent = metrics(page)["roadmask_page_sent_pictures_total", (("camera", "front"),)]
        assert sent <= 30 + MOST_UNDER_WAY
        wait_until(lambda: metrics(page)["roadmask_page_clients", ()] == 0, "the heartbeat ends the stopped reader")


def test_publishing_never_waits_for_the_server() -> None:
    """The loop is held up for good; a run that waited would hang here."""
    held = threading.Event()
    with serving() as page:
        loop = page._loop
        assert loop is not None
        loop.call_soon_threadsafe(held.wait, PATIENCE_S)
        try:
            for index in range(50):
                page.publish(picture_of(index=index))
                page.report(run_report())
            assert page.page_ages("front") is None
            # however many pictures come, one wake-up waits
            assert len(loop._ready) <= 4  # type: ignore[attr-defined]
        finally:
            held.set()


def test_a_page_that_is_not_served_takes_what_it_is_given() -> None:
    page = LivePage(PageAddress("127.0.0.1", 0))
    page.publish(picture_of())
    page.report(run_report())
    with page:
        assert watch(page, lambda viewer: viewer.picture())[0]["index"] == 0
    page.publish(picture_of())
    page.stop()


def test_hidden_and_paused_pages_get_no_pictures_and_pictures_passed_over_have_no_age() -> None:
    async def see(viewer: Viewer, page: LivePage) -> int:
        page.publish(picture_of(index=0))
        header, _ = await viewer.picture(drawn=False)
        await viewer.socket.send_json({"type": "watch", "pictures": False})
        await viewer.done(header, "passed")
        await viewer.socket.send_json({"type": "ping", "sent": 1.5})
        assert (await viewer.text("pong"))["sent"] == 1.5  # so everything before it was heard
        page.publish(picture_of(index=1))
        await viewer.text("status")
        page.publish(picture_of(index=2))
        await viewer.socket.send_json({"type": "watch", "pictures": True})
        return int((await viewer.picture(drawn=False))[0]["index"])

    with serving() as page:
        assert watch(page, lambda viewer: see(viewer, page)) == 2
        assert page.page_ages("front") is None


@pytest.mark.parametrize(
    "nonsense", ["", "no json", "[]", '{"type":"drawn"}', '{"type":"watch","pictures":1}', "[" * 1000]
)
def test_nonsense_ends_the_connection_and_only_that(nonsense: str) -> None:
    async def see(viewer: Viewer) -> int | None:
        await viewer.socket.send_str(nonsense)
        while not (await viewer.socket.receive(PATIENCE_S)).type.name.startswith("CLOS"):
            pass
        return viewer.socket.close_code

    with serving() as page:
        assert watch(page, see) == 1008
        assert get(page, "/")[0] == 200


def test_page_ages_are_told_by_the_server_clock_whatever_is_done_to_it() -> None:
    """A picture captured 700 ms ago by a clock an hour ahead, which is set right before the picture is drawn."""
    ahead = {"ns": 3600 * 10**9}

    async def see(viewer: Viewer, page: LivePage) -> dict[str, Any]:
        page.publish(picture_of(captured_ns=time.time_ns() + ahead["ns"] - 700_000_000))
        ahead["ns"] = 0
        header, _ = await viewer.picture()
        await viewer.socket.send_json({"type": "ping", "sent": 0})
        assert (await viewer.text("pong"))["at"] == pytest.approx(header["at"], abs=PATIENCE_S * 1000)
        return header

    with serving(wall_ns=lambda: time.time_ns() + ahead["ns"]) as page:
        header = watch(page, lambda viewer: see(viewer, page))
        ages = page.page_ages("front")
    assert 700 <= header["at"] - header["captured"] < 700 + PATIENCE_S * 1000
    assert ages is not None
    assert 700 <= ages.p50_ms < 700 + PATIENCE_S * 1000


# the last minute


def test_history_gives_back_what_was_published() -> None:
    pictures = [picture_of(camera, index) for index in range(3) for camera in ("front", "rear")]
    with serving() as page:
        for picture in pictures:
            page.publish(picture)
            time.sleep(0.04)
        index = get_json(page, "/api/history")["cameras"]
        assert {camera: len(kept) for camera, kept in index.items()} == {"front": 3, "rear": 3}
        key = index["rear"][1][0]

        async def fetch() -> bytes:
            async with aiohttp.ClientSession() as session, session.get(f"{base(page)}/api/history/{key}") as answer:
                return await answer.read()

        header, jpeg = read_picture(run(fetch()))
        status, text, _ = get(page, "/api/history/999999")
    assert (header["camera"], header["index"], jpeg) == ("rear", 1, pictures[3].jpeg)
    assert (status, "no longer kept" in text) == (404, True)


def test_history_ends_after_its_seconds_also_of_a_camera_that_fell_silent() -> None:
    with serving(limits=PageLimits(history_seconds=0.4)) as page:
        page.publish(picture_of("silent"))
        assert get_json(page, "/api/history")["cameras"]["silent"]
        wait_until(lambda: not get_json(page, "/api/history")["cameras"]["silent"], "the picture is let go")
        assert metrics(page)["roadmask_page_history_bytes", ()] == 0


# who may see it


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
        assert (status, headers["Location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(headers["Set-Cookie"].split("; "))
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert get(page, "/", Cookie=cookie)[0] == 200
        page.publish(picture_of())
        assert watch(page, lambda viewer: viewer.picture(), Cookie=cookie)[0]["camera"] == "front"


def test_idle_connections_cannot_use_up_the_process() -> None:
    with serving(limits=PageLimits(connections=4)) as page:
        idle = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(4)]
        try:
            wait_until(lambda: refused_at_once(page.port), "a fifth connection is closed")
        finally:
            for one in idle:
                one.close()
        wait_until(lambda: not refused_at_once(page.port), "there is room again")
        assert get(page, "/")[0] == 200


def refused_at_once(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)) as opened:
        opened.settimeout(0.3)
        try:
            return opened.recv(1) == b""
        except TimeoutError:
            return False


def test_without_its_packages_the_page_says_what_to_install() -> None:
    program = """
import sys
sys.modules["aiohttp"] = None
from roadmask.engines.errors import EngineError
try:
    import roadmask.streaming.page
except EngineError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/").stdout
    assert "the live page needs aiohttp" in said
    assert "roadmask[live]" in said


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


# where it is served


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


def test_stopping_says_goodbye_and_leaves_nothing_behind() -> None:
    before = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts the one it opens in both cases

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
    assert threading.active_count() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_a_viewer_that_stopped_reading_does_not_hold_up_the_end() -> None:
    page = LivePage(PageAddress("127.0.0.1", 0))
    page.start()
    thread = page._thread
    assert thread is not None
    with stopped_reader(page):
        wait_until(lambda: metrics(page)["roadmask_page_clients", ()] == 1, "the stopped reader is connected")
        page.publish(large_picture(0))
        page.publish(large_picture(1))
        page.stop()
    assert not thread.is_alive()


# what monitoring reads


def test_status_tells_the_report_and_the_tracks() -> None:
    async def see(viewer: Viewer) -> dict[str, Any]:
        return await viewer.text("status")

    with serving() as page:
        page.publish(picture_of())
        page.report(run_report(camera_report("front", state=CameraState.STALLED, detail="no frame for 3 s")))
        status = watch(page, see)
        report = get_json(page, "/api/report")
    assert status["report"] == report
    assert report["cameras"][0]["state"] == "stalled"
    assert report["cameras"][0]["dropped"] == {"newer frame waiting": 25, "queue full": 5}
    assert [(row["id"], row["label"]) for row in status["tracks"]["front"]] == [(1, "car"), (2, "person"), (3, "car")]


def test_health_tells_the_truth() -> None:
    with serving(limits=PageLimits(report_deadline_s=0.5)) as page:
        status, text, _ = get(page, "/healthz")
        assert (status, json.loads(text)["reasons"]) == (503, ["the run has not reported yet"])
        assert get(page, "/api/report")[0] == 503
        page.report(run_report())
        assert get(page, "/healthz")[0] == get(page, "/readyz")[0] == 200
        wait_until(lambda: get(page, "/healthz")[0] == 503, "a run that reports no more is not healthy")
        assert "has not reported for" in get(page, "/healthz")[1]
        assert get(page, "/readyz")[0] == 503
        page.report(run_report())
        assert get(page, "/healthz")[0] == 200


def test_metrics_are_those_of_the_report() -> None:
    front = camera_report("front", masks_age_ms=None, ages={"queue": camera_report().ages["queue"]})
    rear = camera_report('re"ar\n', state=CameraState.FAILED)
    with serving() as page:
        page.report(run_report(front, rear, budget_ms=450.0))
        found = metrics(page)
        text, headers = get(page, "/metrics")[1:]
    assert headers["Content-Type"].startswith("text/plain; version=")
    camera = ("camera", "front")
    assert found["roadmask_camera_captured_frames_total", (camera,)] == 1000
    assert found["roadmask_camera_dropped_frames_total", (camera, ("reason", "queue full"))] == 5
    assert found["roadmask_camera_failed_frames_total", (camera, ("reason", "decode"))] == 2
    assert found["roadmask_camera_picture_age_seconds", (camera,)] == pytest.approx(0.021)
    assert ("roadmask_camera_masks_age_seconds", (camera,)) not in found  # unknown is not zero
    assert found["roadmask_camera_frames_per_second_limit", (camera,)] == 20
    assert found["roadmask_camera_limit_changes_total", (camera,)] == 3
    stage = (camera, ("quantile", "0.95"), ("stage", "queue"))
    assert found["roadmask_camera_stage_age_seconds", stage] == pytest.approx(0.04)
    assert found["roadmask_camera_tracks", (camera, ("class", "car"))] == 2
    states = {
        labels[1][1]: value
        for (name, labels), value in found.items()
        if name == "roadmask_camera_state" and labels[0] != camera
    }
    assert states == {state.value: float(state is CameraState.FAILED) for state in CameraState}
    assert found["roadmask_latency_budget_seconds", ()] == pytest.approx(0.45)
    assert found["process_resident_memory_bytes", ()] > 0
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.name.startswith(("roadmask_", "process_"))


def test_numbers_out_of_arrays_are_numbers() -> None:
    picture = picture_of()
    first = replace(picture.instances[0], track_id=np.int64(7), score=np.float32(0.5))
    with serving() as page:
        page.report(run_report(camera_report(captured=np.int64(5), masks_age_ms=np.float32("nan"))))
        page.publish(replace(picture, instances=(first,)))
        assert get_json(page, "/api/report")["cameras"][0]["captured"] == 5
        header, _ = watch(page, lambda viewer: viewer.picture())
        assert (header["instances"][0]["id"], header["instances"][0]["score"]) == (7, 0.5)
        assert metrics(page)["roadmask_camera_captured_frames_total", (("camera", "front"),)] == 5


def test_what_is_not_a_number_breaks_nothing() -> None:
    with serving() as page:
        page.report(run_report(camera_report(captured_fps=float("nan"), masks_age_ms=float("inf"))))
        camera = get_json(page, "/api/report")["cameras"][0]
        assert (camera["captured_fps"], camera["masks_age_ms"]) == (None, None)
        assert get(page, "/readyz")[0] == 503
        assert get(page, "/metrics")[0] == 200
