"""Files of public bug reports, of cameras and of other software: each row is an input and what must come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.store import check_drive, open_drive
from support.field import Situation, clip, cut, encoded, interrupted, number_segmenter, stored_numbers, stored_times_ns

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
    # Warnings are true.
    Situation("a stream of GPS that begins on the way", "novatek_gps_stream.TS", 300),
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
    options = [option.replace("{source}", str(source)) for option in row.options]
    code, printed = roadmask_cli("run", f"cam={source}", "--out", out, *options)
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
