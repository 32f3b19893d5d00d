"""Files of public bug reports, of cameras and of other software: each row is an input and what must come of it."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest

from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import CameraProgress
from roadmask.streaming.store import check_drive, open_drive
from support.compare_stores import differing_files
from support.field import (
    Situation,
    clip,
    cut,
    encoded,
    interrupted,
    joined,
    number_segmenter,
    stored_numbers,
    stored_times_ns,
    two_tracks,
)
from support.video_factory import write_clip

LAST_GROUP = tuple(range(20, 40))

TABLE = [
    # Two packets hold the two fields of one frame.
    Situation("fields of H.264 in packets of their own", "HCAFF1_HHI.264", 10),
    Situation("as many frames as were asked for", "HCAFF1_HHI.264", 7, options=("--max-frames", "7")),
    # Some packets hold a reference that is never shown.
    Situation("hidden frames of VP8", "vp8_altref.webm", 60),
    Situation(
        "hidden frames of VP9",
        lambda folder: encoded(
            folder / "alt.webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime"}
        ),
        40,
    ),
    # Frames that need what is not in the file are no loss: no player shows them.
    *(
        Situation(
            f"{codec} cut at an open group, {name}",
            cut(codec, name),
            40 - first,
            numbers=tuple(range(first, 40)),
            dropped={"before_keyframe": leading},
        )
        for codec, name, first, leading in (
            ("hevc", "cut.ts", 20, 3),
            ("hevc", "cut.hevc", 20, 3),
            ("h264", "cut.ts", 20, 3),
            ("h264", "cut.h264", 20, 3),
            ("mpeg2", "cut.ts", 21, 2),
            ("mpeg2", "cut.mpg", 21, 2),
        )
    ),
    Situation(
        "a loop recording that begins inside a group",
        cut("h264", "loop.ts", packets=7),
        20,
        numbers=LAST_GROUP,
        dropped={"before_keyframe": 13},
    ),
    Situation(
        "as many frames as were asked for, of those that a player shows",
        cut("h264", "loop.ts", packets=7),
        6,
        options=("--max-frames", "6"),
        numbers=LAST_GROUP[:6],
        dropped={"before_keyframe": 13},
    ),
    # Of several video tracks the one is read that a player shows, and the others are named.
    Situation(
        "two tracks", "two_tracks.mp4", 40, says=("track 1 (480 x 270) is read, track 2 (480 x 270) is left out",)
    ),
    Situation(
        "a preview beside the film",
        two_tracks(((96, 160), (192, 320)), (False, True), "film.mp4"),
        6,
        numbers=tuple(range(100, 106)),
        says=("track 2 (320 x 192) is read, track 1 (160 x 96) is left out. Write 'film.mp4?track=N'",),
    ),
    Situation(
        "a container that marks no default",
        two_tracks(((96, 160), (192, 320)), (False, False), "film.ts"),
        6,
        numbers=tuple(range(100, 106)),
        says=("track 2 (320 x 192) is read",),
    ),
    Situation(
        "the track that was asked for",
        two_tracks(((96, 160), (192, 320)), (False, True), "film.mp4"),
        6,
        query="?track=1",
        numbers=tuple(range(6)),
        silent=("left out",),
    ),
    # Warnings are true.
    Situation("a stream of GPS that begins on the way", "novatek_gps_stream.TS", 300),
    Situation(
        "two recordings in a file", joined, 40, numbers=tuple(range(40)), says=("what follows, such as another",)
    ),
    Situation("sound that begins before the images", "late_video.mkv", 40),
    Situation(
        "an edit list that hides the beginning",
        clip("trimmed.mp4", 40, times=[40 * number - 200 for number in range(40)]),
        35,
        numbers=tuple(range(5, 40)),
    ),
    *(
        Situation(
            f"a copy of {name} that was interrupted",
            interrupted(clip(name, 40, **how), 20),
            frames,
            numbers=None if name == "clip.avi" else tuple(range(frames)),
            failed=failed,
            code=3 if failed else 0,
            says=(f"{name} was cut off", says),
            silent=("damaged",),
        )
        for name, how, frames, failed, says in (
            # half a JPEG is an image still
            ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full_range": True}, 21, {}, "21 of the 40"),
            ("clip.mkv", {"b_frames": 0}, 20, {}, "MB are there"),
            (
                "clip.mp4",
                {"b_frames": 0, "options": {"movflags": "faststart"}},
                20,
                {"decode": 1},
                "21 of the 40 frames",
            ),
        )
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_recording(
    row: Situation, roadmask_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("roadmask.streaming.recording.drive.build_segmenter", number_segmenter)
    source = row.make(tmp_path, lambda: request.getfixturevalue("data_dir"))
    out = tmp_path / "drive.zarr"
    code, printed = roadmask_cli("run", f"cam={source}{row.query}", "--out", out, *row.options)
    camera = open_drive(out)["cam"]
    assert (code, len(camera)) == (row.code, row.frames), printed
    assert (camera.ledger.dropped, camera.ledger.failed) == (row.dropped, row.failed)
    assert camera.ledger.captured == row.frames + sum(row.dropped.values()) + sum(row.failed.values())
    assert row.numbers is None or tuple(stored_numbers(camera)) == row.numbers
    times_ns = stored_times_ns(camera)
    assert times_ns == sorted(set(times_ns))
    assert row.times_ms is None or tuple(time_ns / 1e6 for time_ns in times_ns) == row.times_ms
    assert all(words in printed for words in row.says), printed
    assert not any(words in printed for words in row.silent), printed
    assert check_drive(out).ok


def test_a_replay_with_b_frames(roadmask_cli, cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadmask.streaming.live.run.build_segmenter", number_segmenter)
    source = write_clip(tmp_path / "slow_b.mp4", range(8), fps=4, gop=8, b_frames=3)
    out = tmp_path / "drive.zarr"
    code, printed = roadmask_cli("live", f"replay:{source}", "--out", out, "--page", "none")
    camera = open_drive(out)["slow_b"]
    assert (code, camera.ledger.to_dict()) == (0, {"captured": 8, "stored": 8, "dropped": {}, "failed": {}}), printed
    assert stored_numbers(camera) == list(range(8))
    times_ns = stored_times_ns(camera)
    assert [after - before for before, after in pairwise(times_ns)] == pytest.approx([250e6] * 7, abs=5e6)
    assert check_drive(out).ok


def test_two_lenses_in_one_file_are_two_cameras(roadmask_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadmask.streaming.recording.drive.build_segmenter", number_segmenter)
    source, out = two_tracks(((96, 160), (96, 160)), (True, True), "lenses.mp4")(tmp_path), tmp_path / "drive.zarr"
    code, printed = roadmask_cli("run", f"{source}?track=1", f"{source}?track=2", "--out", out, "--no-ray")
    assert (code, "left out" in printed) == (0, False)
    drive = open_drive(out)
    assert {name: stored_numbers(drive[name])[0] for name in drive} == {"lenses_1": 0, "lenses_2": 100}
    # the first one of two lenses that are alike is found again without its track
    code, printed = roadmask_cli("export", out, "--to", "video", "--camera", "lenses_1", tmp_path / "first.mp4")
    assert code == 0, printed


def test_a_track_that_is_not_there(roadmask_cli, tmp_path: Path) -> None:
    source = clip("clip.mp4")(tmp_path)
    code, printed = roadmask_cli("run", f"cam={source}?track=2", "--out", tmp_path / "drive.zarr")
    assert code == 2
    assert "has no video track 2: it has one video track, counted from 1" in printed


@pytest.mark.ci
def test_the_same_bytes_in_process_and_on_ray_and_resumed(
    roadmask_cli, cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadmask.streaming.recording.drive.build_segmenter", number_segmenter)
    path = cut("h264", "loop.ts", packets=7)(tmp_path)
    for how in ("--no-ray", "--ray"):
        assert roadmask_cli("run", f"cam={path}", "--out", tmp_path / f"{how}.zarr", how)[0] == 0
    assert not differing_files(tmp_path / "--no-ray.zarr", tmp_path / "--ray.zarr")

    stop = threading.Event()

    def interrupted_after(progress: dict[str, CameraProgress]) -> None:
        if progress["cam"].frames > 5:
            stop.set()

    jobs, config, out = {"cam": path}, RunConfig(), tmp_path / "resumed.zarr"
    record_drive(jobs, out, config, on_ray=False, on_progress=interrupted_after, stop=stop)
    assert not open_drive(out)["cam"].complete
    record_drive(jobs, out, config, on_ray=False, resume=True)
    assert not differing_files(tmp_path / "--no-ray.zarr", out)
