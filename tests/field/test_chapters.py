"""Times of chapters and of cameras, from the creation times that recorders write."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import pytest

from roadmask.cli import main
from roadmask.engines import Instances, ScriptedSegmenter
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sources import open_camera
from roadmask.streaming.store import check_drive, open_drive
from support.batches import SIZE, red_segmenter
from support.compare_stores import differing_files
from support.video_factory import MS, number_of, write_clip

BEGAN = datetime(2026, 1, 2, 10, tzinfo=UTC)
FPS = 5


def chapters(
    folder: Path, begins_s: Sequence[float], lengths_s: Sequence[float], names: str = "c{:02}.mp4"
) -> list[str]:
    """Writes clips; the creation times of MP4 are whole seconds, as recorders write them."""
    folder.mkdir(exist_ok=True)
    return [
        str(
            write_clip(
                folder / names.format(number),
                range(round(length_s * FPS)),
                fps=FPS,
                size=SIZE,
                created=(BEGAN + timedelta(seconds=int(begin_s))).isoformat(),
            )
        )
        for number, (begin_s, length_s) in enumerate(zip(begins_s, lengths_s, strict=True))
    ]


def starts_s(paths: Sequence[str]) -> list[float]:
    """Where each chapter begins: its first image says number 0."""
    with open_camera("front", paths) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert all(one.timestamp_ns < other.timestamp_ns for one, other in pairwise(frames))
    return [frame.timestamp_ns / 1e9 for frame in frames if number_of(frame.image) == 0]


@pytest.mark.parametrize(
    ("begins_s", "lengths_s", "expected_s"),
    [
        # a pause of a second between all of them, which is no more than rounding between any two
        ([3 * n for n in range(12)], [2] * 12, [3 * n for n in range(12)]),
        # half a second, which whole seconds state by and by
        ([2.5 * n for n in range(8)], [2] * 8, [0, 2, 5, 7, 10, 12, 15, 17]),
        # no pause: creation times are rounded, times of frames are not
        ([1.6 * n for n in range(8)], [1.6] * 8, [1.6 * n for n in range(8)]),
        # no pause, a pause, no pause
        ([0, 1.6, 3.2, 20, 21.6], [1.6] * 5, [0, 1.6, 3.2, 20, 21.6]),
        # chapters of different lengths with a pause of a second after each
        ([0, 3, 8, 10, 15], [2, 4, 1, 4, 1], [0, 3, 8, 10, 15]),
    ],
)
def test_times_do_not_drift(
    tmp_path: Path, begins_s: list[float], lengths_s: list[float], expected_s: list[float]
) -> None:
    assert starts_s(chapters(tmp_path / "c", begins_s, lengths_s)) == pytest.approx(expected_s)


def test_the_real_chapters_end_at_35_seconds(data_dir: Path) -> None:
    folder = data_dir / "field" / "drift_chapters"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    with open_camera("front", [f"{folder}/*.mp4"]) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert frames[-1].timestamp_ns / 1e9 + 1 / source.fps == pytest.approx(35)
    assert len(frames) == 600


def test_chapters_of_a_gopro_carry_the_time_of_the_first(tmp_path: Path) -> None:
    """As a shell lists them: the first chapters of both recordings, then the second chapter of the first one."""
    names = ["GX010007.MP4", "GX010008.MP4", "GX020007.MP4"]
    for name, begin_s in zip(names, (0, 60, 0), strict=True):
        chapters(tmp_path / "c", [begin_s], [2], name)
    paths = [str(tmp_path / "c" / name) for name in names]
    with open_camera("front", paths) as source:
        frames = list(source)
        assert [file["name"] for file in source.describe()["files"]] == [names[0], names[2], names[1]]
    assert [frames[n].timestamp_ns for n in (0, 10, 20)] == [0, 2000 * MS, 60_000 * MS]
    assert [frames[n].epoch for n in (0, 10, 20)] == [0, 0, 1]


class TestClocks:
    def test_a_clock_that_was_set_is_told_and_leaves_no_gap_of_years(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
        years_s = (datetime(2034, 5, 1, tzinfo=UTC) - BEGAN).total_seconds()
        paths = chapters(tmp_path / "c", [0, 2, years_s, years_s + 10], [2] * 4)
        assert starts_s(paths) == [0, 2, 4, 14], "after the jump, times count from the new clock"
        assert "the clock of camera front jumps by" in caplog.text
        assert "between c01.mp4 (2026-01-02 10:00:02) and c02.mp4 (2034-05-01 00:00:00)" in caplog.text
        assert [item.epoch for item in open_camera("front", paths)][::10] == [0, 0, 1, 2]

    def test_chapters_in_another_order_than_given_are_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
        open_camera("front", chapters(tmp_path / "c", [3600, 3602, 2], [2] * 3)).close()
        assert "read in the order of their creation times: c02.mp4, c00.mp4, c01.mp4" in caplog.text

    def test_a_long_pause_is_kept_and_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
        assert starts_s(chapters(tmp_path / "c", [0, 3602], [2] * 2)) == [0, 3602]
        assert "camera front pauses for 1:00:00 between c00.mp4" in caplog.text

    def test_overlapping_chapters_follow_each_other(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
        assert starts_s(chapters(tmp_path / "c", [0, 2, 4], [20, 2, 2])) == [0, 20, 22]
        assert "steps back by 0:00:18 between c00.mp4" in caplog.text


def two_cameras(folder: Path, apart_s: float) -> dict[str, str]:
    front, rear = chapters(folder, [0, apart_s], [1, 1])
    return {"front": front, "rear": rear}


class TestTwoCameras:
    def test_cameras_are_as_far_apart_as_they_began(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "drive.zarr"
        sources = two_cameras(tmp_path / "c", 5)
        assert record_drive(sources, out, build=red_segmenter).exit_code == 0
        drive = open_drive(out)
        assert drive["front"].frame(0).timestamp_ns == 0
        assert drive["rear"].frame(0).timestamp_ns == 5000 * MS
        assert drive["rear"].recording_start == drive["front"].recording_start == BEGAN, "of the one clock of the drive"
        assert drive["rear"].wall_clock(5000 * MS, 0) == BEGAN + timedelta(seconds=5)
        assert check_drive(out).ok

        def cli(*arguments: object) -> str:
            monkeypatch.setattr("sys.argv", ["roadmask", *map(str, arguments)])
            monkeypatch.setenv("COLUMNS", "80")
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
            return capsys.readouterr().out

        shown = cli("info", out)
        assert re.search(r"front .*2026-01-02 10:00:00", shown)
        assert re.search(r"rear .*2026-01-02 10:00:05", shown)
        for form, name in (("coco", "a.json"), ("rle-jsonl", "a.jsonl"), ("video", "a.mp4")):
            camera = ("--camera", "rear") if form == "video" else ()
            cli(
                "export",
                out,
                "--to",
                form,
                *camera,
                *(("--source", sources["rear"]) if camera else ()),
                tmp_path / name,
            )
        images = json.loads((tmp_path / "a.json").read_text())["images"]
        assert images[0]["date_captured"] == "2026-01-02T10:00:00.000000Z"
        assert images[-1]["date_captured"] == "2026-01-02T10:00:05.800000Z"
        rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        assert rows[-1]["captured_at"] == "2026-01-02T10:00:05.800000Z"
        with av.open(str(tmp_path / "a.mp4")) as video:
            assert video.metadata["creation_time"].startswith("2026-01-02T10:00:05")

        stopped = tmp_path / "stopped.zarr"
        stop = threading.Event()
        record_drive(sources, stopped, build=red_segmenter, stop=stop, on_progress=lambda seen: _stop_at(stop, seen))
        record_drive(sources, stopped, build=red_segmenter, resume=True)
        assert differing_files(out, stopped) == []

    @pytest.mark.ci
    def test_ray_gives_the_same_bytes(self, tmp_path: Path, cluster: None) -> None:
        sources = two_cameras(tmp_path / "c", 5)
        nothing = lambda image, _: Instances.empty(image.shape[:2])  # noqa: E731 - Ray takes it along by value
        for name, on_ray in (("one", False), ("ray", True)):
            build = partial(ScriptedSegmenter, nothing)
            record_drive(sources, tmp_path / f"{name}.zarr", build=build, on_ray=on_ray)
        assert differing_files(tmp_path / "one.zarr", tmp_path / "ray.zarr") == []
        assert open_drive(tmp_path / "ray.zarr")["rear"].frame(0).timestamp_ns == 5000 * MS

    def test_clocks_of_different_time_zones_are_told_and_align_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("roadmask"), "propagate", True)
        record_drive(two_cameras(tmp_path / "c", 2 * 3600), tmp_path / "drive.zarr", build=red_segmenter)
        drive = open_drive(tmp_path / "drive.zarr")
        assert [drive[camera].frame(0).timestamp_ns for camera in drive] == [0, 0]
        assert drive["rear"].recording_start == BEGAN + timedelta(hours=2)
        assert "more than an hour apart by their own clocks (front at 2026-01-02 10:00:00, rear at" in caplog.text


def _stop_at(stop, seen) -> None:  # type: ignore[no-untyped-def]
    if sum(progress.frames for progress in seen.values()) >= 4:
        stop.set()
