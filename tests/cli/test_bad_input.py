"""Bad input is named in one line, and nothing is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file


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
        (zero_frames, 2, "cannot decode any of the 1 images"),
        (lambda _: ["rtsp://10.0.0.1/stream"], 2, "rtsp"),
        (existing_store, 2, "already exists"),
        (newer_store, 2, "pip install --upgrade 'roadmask>=9.0'"),
        (other_weights, 2, "fc.weight"),
        (pickled_code, 2, "evil.pth"),
        (unknown_key, 2, "did you mean 'weights'"),
        (lambda _: ["synthetic:", "--weights", "lit"], 2, "lit"),
        (lambda _: ["synthetic:", "--engine", "quantum"], 2, "quantum"),
        (lambda _: ["synthetic:", "--precision", "half"], 2, "expected the precision auto, bf16, fp16, fp32, int8"),
        (
            lambda _: ["synthetic:", "--engine", "openvino", "--precision", "fp16"],
            2,
            "tensorrt or torch-cuda",
        ),
        (lambda _: ["synthetic:", "--classes", "pedestrain"], 2, "did you mean 'pedestrian'"),
        (lambda _: ["synthetic:", "--classes", "zebra"], 2, "does not know the class 'zebra'"),
        (lambda _: ["synthetic:", "--input-size", "300x400"], 2, "multiples of 32"),
        (lambda _: ["synthetic:", "--score-min", "7"], 2, "between 0.05 and 1"),
        (lambda _: ["synthetic:", "--ignore", "nowhere.png"], 2, "mask image or a polygon"),
        (
            lambda _: ["synthetic:", "--ignore", "rear=0,0 9,0 9,9"],
            2,
            "a camera of this run (front)",
        ),
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
