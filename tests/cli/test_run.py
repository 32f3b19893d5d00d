"""`roadmask run` from its arguments to exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from roadmask.streaming.store import open_drive

TESTS = Path(__file__).parents[1]


def an_image(path: Path, size: tuple[int, int] = (48, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))


def test_run_stores_draws_and_logs(drive: Path) -> None:
    front = open_drive(drive)["front"]
    assert len(front) == front.ledger.captured == 100
    assert any(track.class_name == "car" and track.frames > 10 for track in front.tracks())
    with av.open(str(drive.parent / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 100
    lines = [json.loads(line) for line in (drive.parent / "log.jsonl").read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[-1].keys()
    assert lines[-1]["exit_code"] == 0


@pytest.mark.parametrize("overlay", ["input.mp4", "./input.mp4"])
def test_an_overlay_never_overwrites_what_is_read(roadmask_cli, drive: Path, tmp_path: Path, overlay: str) -> None:
    source = tmp_path / "input.mp4"
    source.write_bytes((drive.parent / "overlay.mp4").read_bytes())
    before = source.read_bytes()
    code, printed = roadmask_cli("run", source, "--out", tmp_path / "o.zarr", "--overlay", tmp_path / overlay)
    assert (code, source.read_bytes() == before, (tmp_path / "o.zarr").exists()) == (2, True, False)
    assert "would overwrite a source" in printed


def test_a_log_never_goes_into_another_file(roadmask_cli, tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"\0\0\0 ftyp")
    code, printed = roadmask_cli("run", "synthetic:", "-o", tmp_path / "o.zarr", "--log-json", tmp_path / "drive.mp4")
    assert (code, (tmp_path / "drive.mp4").read_bytes()) == (2, b"\0\0\0 ftyp")
    assert "is something else" in printed


def test_two_cameras_without_ray_say_what_to_install(roadmask_cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("roadmask.streaming.recording.drive.find_spec", lambda _: None)
    sources = ["a=synthetic:?seconds=1", "b=synthetic:rear?seconds=1"]
    code, printed = roadmask_cli("run", *sources, "--out", tmp_path / "o.zarr")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert "roadmask[ray]" in printed
    assert "--no-ray" in printed


def test_passwords_stay_out_of_the_log(roadmask_cli, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    roadmask_cli("run", "rtsp://me:secretpw@10.0.0.1/x", "--out", tmp_path / "o.zarr", "--log-json", log)
    assert "secretpw" not in log.read_text()


def test_an_unwritable_target_is_a_store_error(roadmask_cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, printed = roadmask_cli("run", "synthetic:", "--out", tmp_path / "file" / "drive.zarr")
    assert code == 4
    assert "cannot write to" in printed


def test_mixed_image_sizes_keep_what_came_before(roadmask_cli, tmp_path: Path) -> None:
    for name, size in (("0.png", (96, 160)), ("1.png", (96, 160)), ("2.png", (48, 64))):
        an_image(tmp_path / "mixed" / name, size)
    code, printed = roadmask_cli("run", tmp_path / "mixed", "--out", tmp_path / "drive.zarr")
    assert code == 3
    assert "2.png" in printed
    assert len(open_drive(tmp_path / "drive.zarr")["mixed"]) == 2


def test_a_truncated_video_keeps_what_decodes(roadmask_cli, data_dir: Path, tmp_path: Path) -> None:
    with av.open(str(data_dir / "clips" / "highway.mp4")) as whole, av.open(str(tmp_path / "cut.mkv"), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.dts is None or number == 80:
                break
            packet.stream = stream
            cut.mux(packet)
    kept = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(kept[: len(kept) // 2])
    code, printed = roadmask_cli("run", tmp_path / "cut.mkv", "--out", tmp_path / "drive.zarr")
    assert code in {0, 3}, printed
    front = open_drive(tmp_path / "drive.zarr")["cut"]
    assert 20 <= len(front) < 40
    assert "was cut off" in printed
    assert roadmask_cli("check", tmp_path / "drive.zarr")[0] == 0


@pytest.mark.parametrize(
    ("program", "on_ray", "signals", "complete"),
    [
        pytest.param("roadmask", "--no-ray", [signal.SIGINT], True, marks=pytest.mark.ci),
        # impatience: what was committed is there, the rest is not
        pytest.param("support.scripted_cli", "--ray", [signal.SIGINT, signal.SIGINT], False, marks=pytest.mark.ci),
    ],
)
def test_a_signal_ends_the_run_and_keeps_the_store(
    tmp_path: Path, program: str, on_ray: str, signals: list[signal.Signals], complete: bool
) -> None:
    out = tmp_path / "drive.zarr"
    (tmp_path / "small.toml").write_text("[store]\nshard_mb = 0.001\n")
    command = [sys.executable, "-m", program, "run", "front=synthetic:?seconds=60", on_ray, "--out", out.name]
    command += ["--config", "small.toml"]
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), "SLOW_S": "0.1"},
    )

    def committed() -> int:
        cameras = open_drive(out) if (out / "zarr.json").exists() else {}
        return len(cameras["front"]) if "front" in cameras else 0

    try:
        deadline = time.monotonic() + 300
        while not committed():
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline, "nothing was committed"
            time.sleep(0.1)
        for number in signals:
            os.killpg(run.pid, number)  # as a terminal does it: every process of the run hears it
            time.sleep(0.3)
        printed, _ = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 130, printed
    front = open_drive(out)["front"]
    assert 0 < len(front) < 1500
    assert len(front) == front.ledger.captured or not complete
    assert not front.complete  # but can be resumed
    assert ("roadmask run 'front=synthetic:?seconds=60'" in printed and "--resume" in printed) is complete
