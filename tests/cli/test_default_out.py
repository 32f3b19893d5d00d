"""`roadmask run` without `--out`: beside the recording, over nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadmask.cli.default_out import free_outputs, resumed_store
from roadmask.streaming.recording import drive as recording
from roadmask.streaming.recording.jobs import camera_jobs
from roadmask.streaming.sinks.video_writer import VideoWriter
from roadmask.streaming.store import open_drive
from support.drives import bright_segmenter


def names(*sources: object) -> tuple[str, str]:
    outputs = free_outputs(camera_jobs([str(source) for source in sources]))
    return str(outputs.store), str(outputs.overlay)


def test_the_store_is_named_after_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "drives" / "sunny.day"
    images.mkdir(parents=True)
    for number in range(2):
        (images / f"{number}.png").touch()
    here = str(tmp_path)
    assert names(f"{here}/my.mp4") == (f"{here}/my.zarr", f"{here}/my-masks.mp4")
    assert names("my.mp4") == ("my.zarr", "my-masks.mp4")
    assert names(images) == (f"{here}/drives/sunny.day.zarr", f"{here}/drives/sunny.day-masks.mp4")
    assert names(f"{images}/*.png?fps=25")[0] == f"{here}/drives/sunny.day.zarr"
    assert names("front=a.mp4", "front=b.mp4")[0] == "a.zarr"  # chapters are one camera
    assert names("front=a.mp4", "rear=b.mp4") == ("drive.zarr", "drive-masks.mp4")
    assert names("synthetic:")[0] == "drive.zarr"


def test_nothing_is_overwritten_and_resume_finds_the_newest(tmp_path: Path) -> None:
    video = tmp_path / "my.mp4"
    jobs = camera_jobs([str(video)])
    assert resumed_store(jobs) is None
    (tmp_path / "my.zarr").mkdir()
    (tmp_path / "my-2-masks.mp4").touch()
    assert names(video) == (str(tmp_path / "my-3.zarr"), str(tmp_path / "my-3-masks.mp4"))
    assert resumed_store(jobs) == tmp_path / "my.zarr"
    (tmp_path / "my-2.zarr").mkdir()
    assert resumed_store(jobs) == tmp_path / "my-2.zarr"


def test_one_command_on_a_video_stores_draws_and_says_where(
    roadmask_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "build_segmenter", lambda _: bright_segmenter())
    with VideoWriter(tmp_path / "my.mp4") as video:
        for number in range(6):
            image = np.zeros((64, 96, 3), np.uint8)
            image[20:40, 10 + 2 * number : 40 + 2 * number] = 255
            video.write(image, number * 100_000_000)
    code, printed = roadmask_cli("run", tmp_path / "my.mp4")
    assert code == 0, printed
    assert len(open_drive(tmp_path / "my.zarr")["my"]) == 6
    assert (tmp_path / "my-masks.mp4").stat().st_size > 0
    assert "through 6 frames (0.6 s)." in printed
    assert f"roadmask view {tmp_path / 'my.zarr'}" in printed
    assert f"{tmp_path / 'my.zarr'} {tmp_path / 'my-masks.mp4'}" in printed
    before = (tmp_path / "my-masks.mp4").read_bytes()
    code, printed = roadmask_cli("run", tmp_path / "my.mp4", "--resume")
    assert (code, sorted(path.name for path in tmp_path.glob("*.zarr"))) == (0, ["my.zarr"])
    assert "Nothing to do" in printed
    assert (tmp_path / "my-masks.mp4").read_bytes() == before
