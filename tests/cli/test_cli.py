"""The command line, from arguments to exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import roadmask
from roadmask.cli import main
from roadmask.engines.segmenter import Precision
from roadmask.engines.table import Engine
from roadmask.streaming.store import open_drive


@pytest.fixture
def roadmask_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command; returns its exit code and what it printed, on one line."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["roadmask", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    return run


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the sample drive, recorded by the real program with an overlay and a log."""
    folder = tmp_path_factory.mktemp("drive")
    command = [sys.executable, "-m", "roadmask", "run", "front=synthetic:?seconds=2", "--out", "drive.zarr"]
    command += ["--overlay", "overlay.mp4", "--log-json", "log.jsonl"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "drive.zarr"


def test_help_teaches(roadmask_cli) -> None:
    code, printed = roadmask_cli("run", "--help")
    assert code == 0
    for option in (
        "--out",
        "--overlay",
        "--weights",
        "--engine",
        "--classes",
        "--score-min",
        "--input-size",
        "--threads",
    ):
        assert option in printed
    for option in ("--ignore", "--config", "--max-frames", "--log-json", "--ray", "--no-ray"):
        assert option in printed
    assert "130 interrupted" in printed
    for command in ("run", "live", "batch"):
        assert "--precision" in roadmask_cli(command, "--help")[1]


@pytest.mark.parametrize("command", ["run", "live", "eval segm"])
def test_help_names_every_engine_and_precision(roadmask_cli, command: str) -> None:
    _, printed = roadmask_cli(*command.split(), "--help")
    assert set(get_args(Engine)) | set(get_args(Precision)) <= set(re.findall(r"[\w-]+", printed))


def test_help_of_calibration_says_where_its_images_are(roadmask_cli) -> None:
    for command in ("calibrate", "activations"):
        _, printed = roadmask_cli("engine", command, "--help")
        assert "street_train/images" in printed
        assert "coco_dev" not in printed


def test_version(roadmask_cli) -> None:
    assert roadmask_cli("--version") == (0, roadmask.__version__)


def test_run_stores_draws_and_logs(drive: Path) -> None:
    front = open_drive(drive)["front"]
    assert len(front) == front.ledger.captured == 50
    assert any(track.class_name == "car" and track.frames > 10 for track in front.tracks())
    with av.open(str(drive.parent / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 50
    lines = [json.loads(line) for line in (drive.parent / "log.jsonl").read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[-1].keys()
    assert lines[-1]["exit_code"] == 0


def test_check_passes_on_a_good_store(roadmask_cli, drive: Path) -> None:
    code, printed = roadmask_cli("check", drive)
    assert code == 0
    assert "is not damaged" in printed
    assert "50 frames" in printed


def test_check_names_the_broken_shard(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    subprocess.run(["cp", "-r", str(drive), str(broken)], check=True)
    shard = next((broken / "front/0/id_map").glob("c.*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    code, printed = roadmask_cli("check", broken)
    assert code == 4
    assert f"id_map/{shard.name}" in printed


def test_info_shows_and_plots(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    code, printed = roadmask_cli("info", drive, "--plot", tmp_path / "summary.png")
    assert code == 0
    for word in ("front", "640 x 384", "car", "id_map", "captured"):
        assert word in printed
    assert cv2.imread(str(tmp_path / "summary.png")).std() > 10


def test_doctor_says_that_run_works(roadmask_cli) -> None:
    code, printed = roadmask_cli("doctor")
    assert code == 0
    assert "openvino" in printed
    assert "roadmask run works here" in printed


def an_image(path: Path, size: tuple[int, int] = (48, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))


def text_video(folder: Path) -> list[object]:
    (folder / "text.mp4").write_text("this is no video")
    return [folder / "text.mp4"]


def empty_video(folder: Path) -> list[object]:
    (folder / "empty.mp4").touch()
    return [folder / "empty.mp4"]


def no_images(folder: Path) -> list[object]:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("a")
    return [folder / "notes"]


def zero_frames(folder: Path) -> list[object]:
    (folder / "broken").mkdir()
    (folder / "broken" / "0.png").write_bytes(b"no image")
    return [folder / "broken"]


def newer_store(folder: Path) -> list[object]:
    (folder / "new.zarr").mkdir()
    attributes = {"schema_version": 99, "roadmask_version": "9.0"}
    metadata = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / "new.zarr" / "zarr.json").write_text(json.dumps(metadata))
    return ["info", folder / "new.zarr"]


def other_weights(folder: Path) -> list[object]:
    save_file({"fc.weight": np.zeros((3, 3), np.float32)}, folder / "other.safetensors")
    return ["synthetic:", "--weights", folder / "other.safetensors"]


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {_Payload.trace}",)

    trace = ""


def pickled_code(folder: Path) -> list[object]:
    _Payload.trace = str(folder / "executed")
    torch.save({"backbone": _Payload()}, folder / "evil.pth")
    return ["synthetic:", "--weights", folder / "evil.pth"]


def existing_store(folder: Path) -> list[object]:
    (folder / "drive.zarr").mkdir()
    return ["synthetic:", "--max-frames", "1"]


def unknown_key(folder: Path) -> list[object]:
    (folder / "mine.toml").write_text("[engine]\nweigths = 'lite'\n")
    return ["synthetic:", "--config", folder / "mine.toml"]


@pytest.mark.parametrize(
    ("prepare", "code", "words"),
    [
        (lambda folder: [folder / "missing.mp4"], 2, "missing.mp4"),
        (empty_video, 2, "empty"),
        (text_video, 2, "text.mp4"),
        (no_images, 2, "notes"),
        (zero_frames, 2, "could be decoded"),
        (lambda _: ["rtsp://10.0.0.1/stream"], 2, "rtsp"),
        (existing_store, 2, "already there"),
        (newer_store, 2, "pip install --upgrade 'roadmask>=9.0'"),
        (other_weights, 2, "fc.weight"),
        (pickled_code, 2, "evil.pth"),
        (unknown_key, 2, "did you mean 'weights'"),
        (lambda _: ["synthetic:", "--weights", "lit"], 2, "lit"),
        (lambda _: ["synthetic:", "--engine", "quantum"], 2, "quantum"),
        (lambda _: ["synthetic:", "--precision", "half"], 2, "expected the precision auto, bf16, fp16, fp32, int8"),
        (lambda _: ["synthetic:", "--engine", "openvino", "--precision", "fp16"], 2, "engine tensorrt or torch-cuda"),
        (lambda _: ["synthetic:", "--classes", "pedestrain"], 2, "did you mean 'pedestrian'"),
        (lambda _: ["synthetic:", "--classes", "zebra"], 2, "does not know the class 'zebra'"),
        (lambda _: ["synthetic:", "--input-size", "300x400"], 2, "multiples of 32"),
        (lambda _: ["synthetic:", "--score-min", "7"], 2, "between 0.05 and 1"),
        (lambda _: ["synthetic:", "--ignore", "nowhere.png"], 2, "mask image or a polygon"),
        (lambda _: ["synthetic:", "--ignore", "rear=0,0 9,0 9,9"], 2, "got 'rear'"),
        (lambda folder: ["synthetic:", "--overlay", folder / "no" / "o.mp4"], 2, "does not exist; create it"),
        (lambda folder: ["synthetic:", "--log-json", folder / "no" / "o.jsonl"], 2, "cannot write the log"),
        (lambda folder: ["check", folder / "nothing.zarr"], 2, "found nothing"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(roadmask_cli, tmp_path: Path, prepare, code, words) -> None:
    arguments = prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if arguments[0] not in {"info", "check"}:
        arguments = ["run", *arguments, "--out", tmp_path / "drive.zarr"]
    ended, printed = roadmask_cli(*arguments)
    assert (ended, "Traceback" in printed) == (code, False)
    assert "error:" in printed
    assert words in printed
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("overlay", ["input.mp4", "./input.mp4"])
def test_an_overlay_never_overwrites_what_is_read(roadmask_cli, drive: Path, tmp_path: Path, overlay: str) -> None:
    source = tmp_path / "input.mp4"
    source.write_bytes((drive.parent / "overlay.mp4").read_bytes())
    before = source.read_bytes()
    code, printed = roadmask_cli("run", source, "--out", tmp_path / "o.zarr", "--overlay", tmp_path / overlay)
    assert (code, source.read_bytes() == before, (tmp_path / "o.zarr").exists()) == (2, True, False)
    assert "over what is read" in printed


def test_a_log_never_goes_into_another_file(roadmask_cli, tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"\0\0\0 ftyp")
    code, printed = roadmask_cli("run", "synthetic:", "-o", tmp_path / "o.zarr", "--log-json", tmp_path / "drive.mp4")
    assert (code, (tmp_path / "drive.mp4").read_bytes()) == (2, b"\0\0\0 ftyp")
    assert "is something else" in printed


def test_a_plot_is_a_png(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    code, printed = roadmask_cli("info", drive, "--plot", tmp_path / "drive.mp4")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert ".png" in printed


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


def test_doctor_works_where_opencv_does_not() -> None:
    program = """
import sys
sys.modules["cv2"] = None
sys.argv = ["roadmask", "doctor"]
from roadmask.cli import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "libgl1" in ended.stdout
    assert "Traceback" not in ended.stderr


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
    ("on_ray", "signals", "complete"),
    [
        ("--no-ray", [signal.SIGINT], True),
        ("--ray", [signal.SIGINT], True),
        # what docker and systemd send
        ("--no-ray", [signal.SIGTERM], True),
        # impatience: what was committed is there, the rest is not
        ("--ray", [signal.SIGINT, signal.SIGINT], False),
    ],
)
def test_a_signal_ends_the_run_and_keeps_the_store(tmp_path: Path, on_ray: str, signals: list, complete: bool) -> None:
    (tmp_path / "small.toml").write_text("[store]\nshard_mb = 1\n")
    command = [sys.executable, "-m", "roadmask", "run", "front=synthetic:?seconds=60", on_ray, "--out", "drive.zarr"]
    command += ["--config", "small.toml"]
    run = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        committed = tmp_path / "drive.zarr/front/0/frames/index/c.0"
        deadline = time.monotonic() + 120
        while not committed.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        for number in signals:
            os.killpg(run.pid, number)  # as a terminal does it: every process of the run hears it
            time.sleep(0.3)
        printed, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130, printed
    front = open_drive(tmp_path / "drive.zarr")["front"]
    assert 0 < len(front) < 1500
    assert len(front) == front.ledger.captured or not complete
    assert not front.complete  # but can be gone on with
    assert ("To resume: roadmask run 'front=synthetic:" in printed) is complete
