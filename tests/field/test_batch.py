"""What a batch finds in a folder, what it leaves out, and how it says so."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from roadmask.cli import main
from roadmask.cli.batch_tables import print_result
from roadmask.streaming.batch.batch import BatchResult
from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.report import report_page
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sources import parse_sources
from roadmask.streaming.store import open_drive
from support.batches import SIZE, red_segmenter
from support.video_factory import as_transport_stream, write_clip


def touch(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip in many guises, of which `run` reads all."""
    folder = tmp_path_factory.mktemp("shots")
    clip = write_clip(folder / "a.mp4", range(12), size=SIZE)
    for name in ("b.insv", "c.360", "no suffix", "d.mp4.bak"):
        (folder / name).write_bytes(clip.read_bytes())
    for name, form in (("e.3gp", "3gp"), ("f.flv", "flv"), ("g.mxf", "mxf"), ("h.unknown", "matroska")):
        write_clip(folder / name, range(3), size=SIZE, format=form)
    write_clip(folder / "i.wmv", range(3), size=SIZE, codec="wmv2", format="asf")
    write_clip(folder / "j.vob", range(3), size=SIZE, codec="mpeg2video", format="mpeg")
    write_clip(folder / "k.264", range(3), size=SIZE, format="h264")
    for name in ("l.m2ts", "m.stream"):
        (folder / name).write_bytes(as_transport_stream(clip))
    for name in ("notes.txt", "track.gpx", "data.bin", "plain"):
        (folder / name).write_bytes(b"no video")
    return folder


@pytest.fixture(autouse=True)
def without_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan measures the engine by a sample, which is tested elsewhere."""
    monkeypatch.setattr("roadmask.streaming.batch.plan.estimate", lambda *_: None)


def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["roadmask", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


VIDEOS = ["a", "b", "c", "d.mp4", "e", "f", "g", "h", "i", "j", "k", "l", "m", "no_suffix"]


def test_every_video_that_run_reads_is_found(
    shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(drive.name for drive in find_drives([str(shots)]).drives) == VIDEOS
    code, said = cli(
        monkeypatch, capsys, "batch", shots, "--out", tmp_path / "out", "--dry-run", "--json", tmp_path / "p"
    )
    assert code == 0, said
    records = json.loads((tmp_path / "p").read_text())["results"]
    assert {record["drive"]: record["state"] for record in records} == dict.fromkeys(VIDEOS, "new")


def test_a_video_of_another_recorder_is_listed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "camera.dav").write_bytes(b"DHAV" + bytes(range(256)) * 8)
    names = [f"240131_120000_001_{channel}.MP4" for channel in ("FH", "FL")]
    for name in names:
        write_clip(videos / name, range(2), size=SIZE)
    for name in ("1.jpg", "2.jpg", "240131_120000_001_FH.jpg"):
        cv2.imwrite(str(videos / name), np.zeros((8, 8, 3), np.uint8))
    code, said = cli(
        monkeypatch, capsys, "batch", videos, "--out", tmp_path / "out", "--dry-run", "--json", tmp_path / "p"
    )
    assert code == 0
    for line in (
        "broken       ?        -  camera",
        "    camera  camera.dav",
        "    front  240131_120000_001_FH.MP4",
        f"    {videos / names[1]}: it is a copy of {names[0]} in low resolution",
        f"    {videos}: its 2 images lie beside videos; move them to a folder of their own",
        "Left out: 2",
    ):
        assert line in said, said
    assert "is not a video container that roadmask reads" in said
    states = [record["state"] for record in json.loads((tmp_path / "p").read_text())["results"]]
    assert states == ["new", "broken", "left out", "left out"]


def test_names_in_other_alphabets_are_recorded(tmp_path: Path) -> None:
    for name in ("走行.mp4", "drive2.mp4"):
        write_clip(tmp_path / name, range(2), size=SIZE)
    for drive in find_drives([str(tmp_path)]).drives:
        record_drive(drive.jobs(), tmp_path / f"{drive.name}.zarr", build=red_segmenter)
    assert list(open_drive(tmp_path / "走行.zarr")) == ["camera"]
    assert list(open_drive(tmp_path / "drive2.zarr")) == ["drive2"]
    assert list(parse_sources([str(tmp_path / "走行.mp4")])) == ["camera"], "as `roadmask run` calls it"


def test_the_report_lists_what_was_left_out() -> None:
    reason = "it is a copy of <a>.MP4 in low resolution"
    page = report_page(BatchResult(Path("/out"), [], 0.0, 1.0, left_out={Path("/videos/<b>.MP4"): reason}))
    assert "Left out" in page
    assert "/videos/&lt;b&gt;.MP4" in page
    assert "it is a copy of &lt;a&gt;.MP4 in low resolution" in page


def test_the_result_is_not_cut_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    name = "2026_0118_144124_000001_" + "long" * 10
    outcomes = [
        DriveOutcome(name, "stored", frames=18, seconds=2.0, stored_bytes=12_000, tracks={"car": 1}),
        DriveOutcome("d03", "failed", "d03.mp4 is an empty file (0 bytes): copy it again from where it was recorded."),
    ]
    print_result(Console(width=80), BatchResult(Path("/out"), outcomes, 0.0, 1.0))
    assert capsys.readouterr().out.splitlines() == [
        "Drives",
        "status  frames  frames/s   time   size  drive",
        f"stored      18       9.0  2.0 s  12 kB  {name}",
        "    1 car",
        "failed       0         -      -      -  d03",
        "    d03.mp4 is an empty file (0 bytes): copy it again from where it was recorded.",
        "1 of 2 drives stored completely in 1.0 s",
    ]
