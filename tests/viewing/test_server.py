"""The page of a recorded store over real sockets: what it answers, to whom, and what it reads for that."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError, PageError
from roadmask.streaming.store import CameraWriter, open_drive
from roadmask.viewing import RecordedPage
from support.page_viewer import get, get_json, read_image, run, watch
from support.patience import PATIENCE_S
from support.recorded_drive import CROSSING, FRAMES, SIZE
from support.stores import create, record, street, tracks_of

FILES_MAX = 4
BYTES_MAX = 2_000_000


@contextmanager
def serving(store: Path, **options: Any) -> Iterator[RecordedPage]:
    with RecordedPage(store, address=options.pop("address", "127.0.0.1:0"), **options) as page:
        page.image_states()
        yield page


def message(page: RecordedPage, key: int, query: str = "") -> tuple[dict[str, Any], np.ndarray]:
    """Returns the header of a frame and its pixels, RGB."""

    async def ask() -> bytes:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{page.url}api/history/{key}{query}") as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.read()

    header, jpeg = read_image(run(ask()))
    return header, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_a_frame_comes_with_its_masks_in_the_form_of_the_live_page(recorded: Path) -> None:
    with serving(recorded) as page:
        drive = get_json(page, "/api/drive")
        assert list(drive["cameras"]) == ["front", "rear"]
        assert drive["name"] == "drive.zarr"
        first = drive["cameras"]["rear"]["first_key"]
        assert (drive["cameras"]["front"]["first_key"], first) == (1, FRAMES + 1)
        at = CROSSING[2]
        header, image = message(page, 1 + at)
        assert (header["camera"], header["frame_index"], header["at"], header["wall"]) == ("front", at, at * 100, None)
        assert header["size"] == list(SIZE)
        assert sorted(one["label"] for one in header["instances"]) == ["car", "pedestrian"]
        car = next(one for one in header["instances"] if one["label"] == "car")
        assert car["box"] == pytest.approx([20 + 2 * at, 60, 70 + 2 * at, 90], abs=2)
        assert np.abs(image[5, 190].astype(int) - 60).max() < 12  # the street of the recording
        header, _ = message(page, first + 3)
        assert (header["camera"], header["frame_index"], header["at"]) == ("rear", 3, 600)
        assert get(page, f"/api/history/{first + FRAMES // 2}")[0] == 404
        assert get(page, "/api/history/0")[0] == 404
        assert get(page, "/api/history/1?seconds=x")[0] == 400


def test_epochs_of_two_sizes_are_one_drive(tmp_path: Path) -> None:
    second = 1_000_000_000
    noon = 1_772_366_400 * second
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front") as writer:
        writer.start_epoch(0, (24, 40), "unix")
        writer.append(3, noon, tracks_of((24, 40), [(2, 2, 20, 12)], [5]))
        writer.start_epoch(1, (48, 64), "unix")
        writer.append(9, noon + 2 * second, tracks_of((48, 64), [(4, 4, 30, 30)], [6]))
        writer.close()
    with serving(store.path) as page:
        front = get_json(page, "/api/drive")["cameras"]["front"]
        assert (front["at"], front["frame_index"], front["wall"]) == ([0, 2000], [3, 9], noon // 1_000_000)
        assert [epoch["size"] for epoch in front["epochs"]] == [[24, 40], [48, 64]]
        first, second_ = message(page, 1), message(page, 2)
        assert [(header["epoch"], header["frame_index"]) for header, _ in (first, second_)] == [(0, 3), (1, 9)]
        assert second_[0]["wall"] == noon // 1_000_000 + 2000
        assert (first[1].shape, second_[1].shape) == ((24, 40, 3), (48, 64, 3))


def test_a_filter_leaves_only_its_tracks(recorded: Path) -> None:
    with serving(recorded) as page:
        key = 1 + CROSSING[2]

        def labels(query: str) -> list[str]:
            return sorted(one["label"] for one in message(page, key, query)[0]["instances"])

        assert labels("?classes=car") == ["car"]
        assert labels("?classes=car,pedestrian&seconds=0.5") == ["car", "pedestrian"]
        assert labels("?seconds=1.5") == ["car"]
        assert labels("?classes=bus") == []
        assert labels("") == ["car", "pedestrian"]


def test_without_its_images_masks_are_on_grey_and_a_line_says_why(recorded: Path, tmp_path: Path) -> None:
    store = tmp_path / "drive.zarr"
    shutil.copytree(recorded, store)
    with serving(store) as page:
        _, image = message(page, 1 + CROSSING[2])
        assert image[5, 190].tolist() == pytest.approx([74, 79, 86], abs=4)
        status = watch(page, lambda viewer: viewer.text("status"))  # type: ignore[arg-type]
        assert status["images"]["front"]["kind"] == "grey"
        assert status["images"]["front"]["detail"].startswith("Masks are drawn on grey: front.mp4 is not in ")
        assert "--source front=PATH" in status["images"]["front"]["detail"]
    with serving(store, sources={"front": recorded.parent / "front.mp4"}) as page:
        states = page.image_states()
        assert (states["front"].kind, states["rear"].kind) == ("shown", "grey")


def test_the_rules_of_addresses_and_tokens_are_those_of_the_live_page(recorded: Path) -> None:
    with serving(recorded) as page:
        port = page.port
        assert get(page, "/")[0] == 200
        for path in ("/", "/api/drive", "/api/history/1", "/static/recorded.js"):
            assert get(page, path, Host=f"evil.example:{port}")[0] == 403, path
        with pytest.raises(PageError, match=rf"port {port} is in use"):
            RecordedPage(recorded, address=f"127.0.0.1:{port}").start()
    chosen = "chosen-by-the-user"
    with serving(recorded, token=chosen) as page:
        for path in ("/", "/api/drive", "/api/history/1"):
            assert get(page, path)[0] == 401, path
            assert get(page, path, Authorization=f"Bearer {chosen}")[0] == 200, path
        assert page.url.endswith(f"?token={chosen}")


def test_behind_a_proxy_the_page_is_below_any_path(recorded: Path) -> None:
    token = "chosen-by-the-user"  # noqa: S105 - a token of a test
    with serving(recorded, token=token, public_url="https://example.org/drives/") as page:
        assert page.url == f"https://example.org/drives/?token={token}"
        for path in ("drives/", "drives/api/drive", "drives/api/history/3", "api/history/3"):
            address = f"http://127.0.0.1:{page.port}/{path}"
            request = urllib.request.Request(
                address, headers={"Authorization": f"Bearer {token}", "Host": "example.org"}
            )
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                assert len(answer.read()) > 500, path


def test_the_page_is_the_live_page_with_another_script(recorded: Path) -> None:
    with serving(recorded) as page:
        text = get(page, "/")[1]
    assert 'data-page="recorded"' in text
    assert "static/recorded.js" in text
    assert "static/main.js" not in text


def test_what_cannot_be_shown_is_refused(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no camera 'side': it has front, rear"):
        RecordedPage(recorded, {"side": "side.mp4"})
    with create(tmp_path / "empty.zarr"):
        pass
    with pytest.raises(InputError, match="nothing was committed"):
        RecordedPage(tmp_path / "empty.zarr")


def test_a_damaged_frame_is_an_error_of_its_own(tmp_path: Path) -> None:
    store = record(tmp_path / "drive.zarr", street(20))
    rle = next((store / "front" / "0" / "instances" / "rle").rglob("c.*"))
    with serving(store) as page:
        assert get(page, "/api/history/1?seconds=0")[0] == 200
        rle.write_bytes(b"\0" * rle.stat().st_size)
        status, text, _ = get(page, "/api/history/8")
        assert (status, "roadmask check" in text) == (500, True)
        assert get(page, "/api/drive")[0] == 200


def test_a_seek_reads_at_most_four_files_and_two_megabytes(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted where files of the store are opened and read; the video is one more file, which stays open."""
    store = record(tmp_path / "long.zarr", street(120))
    opened: list[str] = []
    read: list[int] = []
    really_open, really_read = os.open, os.pread

    def open_(path: Any, *arguments: Any, **options: Any) -> int:
        opened.append(os.fspath(path))
        return really_open(path, *arguments, **options)

    def pread(*arguments: Any) -> bytes:
        data = really_read(*arguments)
        read.append(len(data))
        return data

    for drive, camera, frames, video in ((store, "front", 120, 0), (recorded, "front", FRAMES, 1)):
        with serving(drive) as page:
            with monkeypatch.context() as patched:
                patched.setattr(os, "open", open_)
                patched.setattr(os, "pread", pread)
                for position in np.random.default_rng(1).permutation(frames)[:30].tolist():
                    opened.clear()
                    read.clear()
                    assert page._recorded.message(1 + position, None, 0.0)
                    assert len(set(opened)) + video <= FILES_MAX, opened
                    assert sum(read) <= BYTES_MAX
            assert len(open_drive(drive)[camera]) == frames


def test_the_command_needs_neither_torch_nor_ray_nor_an_engine(recorded: Path) -> None:
    program = """
import sys
for name in ("torch", "torchvision", "ray", "openvino", "onnx", "onnxscript", "pandas", "pyarrow", "matplotlib"):
    sys.modules[name] = None
from roadmask.cli import main
main()
"""
    command = [sys.executable, "-c", program, "view", recorded.name, "--page", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=recorded.parent) as view:
        assert view.stderr is not None
        said = [next(view.stderr).strip() for _ in range(3)]
        assert said[:2] == ["camera front: Images from front.mp4", "camera rear: Images from rear"]
        address = re.match(r"look at (http://127\.0\.0\.1:\d+/) - Ctrl-C ends the page", said[2])
        assert address is not None, said
        for path in ("", "api/drive", "api/history/3"):
            with urllib.request.urlopen(address[1] + path, timeout=PATIENCE_S) as answer:  # noqa: S310 - http alone
                assert len(answer.read()) > 500, path
        view.send_signal(signal.SIGINT)
        assert view.wait(PATIENCE_S) == 0


def test_the_facts_of_a_drive_are_plain_json(recorded: Path) -> None:
    with serving(recorded) as page:
        status, text, headers = get(page, "/api/drive")
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(text)["cameras"]["front"]["epochs"] == [{"epoch": 0, "size": list(SIZE), "frames": FRAMES}]
