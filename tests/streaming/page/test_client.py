"""The images of the live page over real sockets: who gets which, and that publishing never waits."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from roadmask.streaming.page import LivePage, PageAddress, PageLimits, client
from roadmask.streaming.page.client import IN_FLIGHT_MAX
from support.live_feed import BAR, BITS, ScriptedLive, image_of, read_barcode, run_report
from support.page_viewer import (
    Viewer,
    base,
    get,
    get_json,
    large_image,
    metrics,
    read_image,
    run,
    serving,
    stopped_reader,
    watch,
)
from support.patience import PATIENCE_S, wait_until


def test_an_image_arrives_whole() -> None:
    sent = image_of(frame_index=7)
    with serving() as page:
        page.publish(sent)
        header, jpeg = watch(page, lambda viewer: viewer.image())
    assert jpeg == sent.jpeg
    assert (header["camera"], header["epoch"], header["frame_index"], header["size"]) == ("front", 0, 7, [270, 480])
    assert header["wall"] == pytest.approx(sent.captured_ns / 1e6, abs=0.01)
    assert 0 <= header["at"] - header["captured"] <= PATIENCE_S * 1000
    assert [(one["id"], one["label"]) for one in header["instances"]] == [(1, "car"), (2, "person"), (3, "car")]
    assert header["instances"][0]["box"] == pytest.approx(sent.instances[0].box, abs=0.06)


def test_every_camera_gets_its_turn_however_fast_another_is() -> None:
    async def see(viewer: Viewer) -> set[str]:
        return {(await viewer.image())[0]["camera"] for _ in range(12)}

    with serving() as page, ScriptedLive(page, ("front", "rear", "left"), fps=60):
        assert watch(page, see) == {"front", "rear", "left"}


def test_ten_viewers_see_every_camera_in_order() -> None:
    async def see(viewer: Viewer) -> dict[str, list[int]]:
        keys: dict[str, list[int]] = {"front": [], "rear": []}
        for _ in range(12):
            header, _ = await viewer.image()
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


def test_a_viewer_that_says_nothing_gets_two_images_and_then_the_newest() -> None:
    async def see(viewer: Viewer, page: LivePage) -> list[int]:
        seen = []
        for index in range(IN_FLIGHT_MAX):
            page.publish(image_of(frame_index=index))
            seen.append((await viewer.image(drawn=False))[0])
        for index in range(IN_FLIGHT_MAX, 40):
            page.publish(image_of(frame_index=index))
        await viewer.text("status")  # whatever was due has come by now
        await viewer.text("status")
        await viewer.done(seen[0])
        return [*(header["frame_index"] for header in seen), (await viewer.image())[0]["frame_index"]]

    with serving() as page:
        assert watch(page, lambda viewer: see(viewer, page)) == [0, 1, 39]
        found = metrics(page)
    camera = (("camera", "front"),)
    assert found["roadmask_page_published_images_total", camera] == 40
    assert found["roadmask_page_sent_images_total", camera] == 3
    assert found["roadmask_page_skipped_images_total", camera] == 37


def test_a_viewer_that_stops_reading_costs_others_nothing_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_HEARTBEAT_S", 2.0)

    async def see(viewer: Viewer, page: LivePage) -> list[int]:
        seen = []
        for index in range(30):
            page.publish(large_image(index))
            seen.append((await viewer.image())[0]["frame_index"])
        return seen

    with serving(limits=PageLimits(history_bytes=0)) as page, stopped_reader(page):
        wait_until(lambda: metrics(page)["roadmask_page_clients", ()] == 1, "the stopped reader is connected")
        assert watch(page, lambda viewer: see(viewer, page)) == list(range(30))
        sent = metrics(page)["roadmask_page_sent_images_total", (("camera", "front"),)]
        assert sent <= 30 + IN_FLIGHT_MAX
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
                page.publish(image_of(frame_index=index))
                page.report(run_report())
            assert page.page_ages("front") is None
            # however many images come, one wake-up waits
            assert len(loop._ready) <= 4  # type: ignore[attr-defined]
        finally:
            held.set()


def test_a_page_that_is_not_served_takes_what_it_is_given() -> None:
    page = LivePage(PageAddress("127.0.0.1", 0))
    page.publish(image_of())
    page.report(run_report())
    with page:
        assert watch(page, lambda viewer: viewer.image())[0]["frame_index"] == 0
    page.publish(image_of())
    page.stop()


def test_hidden_and_paused_pages_get_no_images_and_images_passed_over_have_no_age() -> None:
    async def see(viewer: Viewer, page: LivePage) -> int:
        page.publish(image_of(frame_index=0))
        header, _ = await viewer.image(drawn=False)
        await viewer.socket.send_json({"type": "watch", "images": False})
        await viewer.done(header, "passed")
        await viewer.socket.send_json({"type": "ping", "sent": 1.5})
        assert (await viewer.text("pong"))["sent"] == 1.5  # so everything before it was heard
        page.publish(image_of(frame_index=1))
        await viewer.text("status")
        page.publish(image_of(frame_index=2))
        await viewer.socket.send_json({"type": "watch", "images": True})
        return int((await viewer.image(drawn=False))[0]["frame_index"])

    with serving() as page:
        assert watch(page, lambda viewer: see(viewer, page)) == 2
        assert page.page_ages("front") is None


@pytest.mark.parametrize(
    "nonsense", ["", "no json", "[]", '{"type":"drawn"}', '{"type":"watch","images":1}', "[" * 1000]
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


@pytest.mark.parametrize("ahead_s", [-3600, 0, 3600])
def test_ages_are_told_by_the_steady_clock_whatever_the_wall_clock_said(ahead_s: int) -> None:
    """An image captured 700 ms ago by a wall clock that has been set since."""

    async def see(viewer: Viewer, page: LivePage) -> dict[str, Any]:
        page.publish(image_of(captured_ns=time.time_ns() + ahead_s * 10**9, age_ms=700))
        header, _ = await viewer.image()
        await viewer.socket.send_json({"type": "ping", "sent": 0})
        assert (await viewer.text("pong"))["at"] == pytest.approx(header["at"], abs=PATIENCE_S * 1000)
        return header

    with serving() as page:
        header = watch(page, lambda viewer: see(viewer, page))
        ages = page.page_ages("front")
    assert 700 <= header["at"] - header["captured"] < 700 + PATIENCE_S * 1000
    assert ages is not None
    assert 700 <= ages.p50_ms < 700 + PATIENCE_S * 1000


def test_history_gives_back_what_was_published() -> None:
    images = [image_of(camera, index) for index in range(3) for camera in ("front", "rear")]
    with serving() as page:
        for image in images:
            page.publish(image)
            time.sleep(0.04)
        index = get_json(page, "/api/history")["cameras"]
        assert {camera: len(kept) for camera, kept in index.items()} == {"front": 3, "rear": 3}
        key = index["rear"][1][0]

        async def fetch() -> bytes:
            async with aiohttp.ClientSession() as session, session.get(f"{base(page)}/api/history/{key}") as answer:
                return await answer.read()

        header, jpeg = read_image(run(fetch()))
        status, text, _ = get(page, "/api/history/999999")
    assert (header["camera"], header["frame_index"], jpeg) == ("rear", 1, images[3].jpeg)
    assert (status, "no longer kept" in text) == (404, True)


def test_history_ends_after_its_seconds_also_of_a_camera_that_fell_silent() -> None:
    with serving(limits=PageLimits(history_seconds=0.4)) as page:

        def kept() -> list[Any]:
            return get_json(page, "/api/history")["cameras"]["silent"]

        def kept_when_published() -> bool:
            page.publish(image_of("silent"))
            return bool(kept())

        wait_until(kept_when_published, "an answer that comes before the image is let go")
        wait_until(lambda: not kept(), "the image is let go")
        assert metrics(page)["roadmask_page_history_bytes", ()] == 0


def test_images_of_the_scripted_run_carry_their_time() -> None:
    """The proof of ages rests on the barcode."""
    captured_ns = 1_795_000_000_123_456_789
    image = image_of(captured_ns=captured_ns)
    grey = cv2.imdecode(np.frombuffer(image.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    levels = [float(grey[-BAR // 2, bit * BAR + BAR // 2]) for bit in range(BITS + 4)]
    assert read_barcode(levels) == captured_ns // 1_000_000
    levels[20] = 255 - levels[20]
    with pytest.raises(AssertionError):
        read_barcode(levels)
