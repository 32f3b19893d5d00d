"""`roadmask live` as it is typed: bad input, the page, the real engine, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from roadmask.evaluation.speed.clips import lengthened
from roadmask.streaming.store import check_drive, open_drive

ROADMASK = [sys.executable, "-m", "roadmask"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rtmp://host/x",), "not read over RTMP"),
        (("replay:missing.mp4",), "no file or folder missing.mp4"),
        (("rtsp://host/x", "--keep", "long"), "such as 30min, 2h"),
        (("rtsp://host/x", "--page", "host:port"), "expected host:port"),
        (("rtsp://host/x", "--page-url", "example.org"), "expected the page URL as http:// or https://"),
        (("rtsp://host/x", "--out", "."), "already exists"),
    ],
)
def test_bad_input_is_refused_before_anything_begins(roadmask_cli, arguments: tuple[str, ...], says: str) -> None:
    code, said = roadmask_cli("live", *arguments)
    assert (code, "Traceback" in said) == (2, False)
    assert says in said


def test_a_port_that_is_in_use(roadmask_cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address, page = "rtsp://eve:correct-horse@host/x", f"127.0.0.1:{port}"
        code, said = roadmask_cli("live", address, "--page", page, "-o", tmp_path / "a.zarr")
    assert code == 2
    assert f"port {port} is in use" in said
    assert "correct-horse" not in said
    assert not (tmp_path / "a.zarr").exists()


def test_the_real_engine_the_page_and_an_end(tmp_path: Path, data_dir: Path) -> None:
    clip = lengthened(data_dir / "clips" / "freeway_near.mp4", tmp_path / "long.mp4", 60)
    out, log = tmp_path / "drive.zarr", tmp_path / "log.jsonl"
    sources = [f"front=replay:{clip}", "unplugged=/dev/video97"]
    command = [*ROADMASK, "live", *sources, "-o", str(out), "--page", "127.0.0.1:0", "--log-json", log]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said: list[str] = []
    assert run.stderr is not None
    listening = threading.Thread(target=lambda: said.extend(run.stderr or []), daemon=True)
    listening.start()
    try:
        deadline = time.monotonic() + 240  # on a busy machine the export of the graph takes long

        def stored() -> int:
            drive = open_drive(out) if (out / "zarr.json").exists() else {}
            return len(drive["front"]) if "front" in drive else 0

        while stored() < 10:
            assert run.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        url = re.search(r"http://\S+", "".join(said))
        assert url is not None, said

        def reported() -> tuple[dict[str, Any], dict[str, Any]]:
            with urllib.request.urlopen(f"{url[0]}api/report") as answer:  # noqa: S310 - our own page
                front, unplugged = json.load(answer)["cameras"]
            return front, unplugged

        front, unplugged = reported()
        while unplugged["state"] != "reconnecting":  # in between it connects, for a moment
            assert time.monotonic() < deadline, unplugged
            time.sleep(0.1)
            front, unplugged = reported()
        assert front["camera"] == "front"
        assert front["captured"] > front["stored"] > 0
        assert (unplugged["state"], unplugged["captured"]) == ("reconnecting", 0)
        assert unplugged["detail"] == "/dev/video97: no such device: plug the camera in."
        run.send_signal(signal.SIGTERM)  # as docker and systemd do; Ray must not have taken it over
        assert run.wait(240) == 130, said
    finally:
        run.kill()
        run.wait()
        listening.join(60)
    front = open_drive(out)["front"]
    assert front.complete
    assert front.ledger.captured == front.ledger.accounted
    assert "car" in {front.class_name(label) for epoch in front.epochs for label in epoch.category_id.tolist()}
    assert check_drive(out).ok
    assert "long.mp4" in json.dumps(open_drive(out).attributes["sources"])
    assert str(tmp_path) not in json.dumps(open_drive(out).attributes["sources"])
