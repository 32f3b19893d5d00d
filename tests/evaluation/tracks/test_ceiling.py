"""What perfect linking reaches, limits of `eval tracks`, and drives as input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.evaluation.tracks import COMBINED, link_perfectly, measure_sequences, read_sequences
from support.stores import record, street


def box(frame: int, track: int, x: int, name: str = "Car", occlusion: int = 0) -> str:
    return f"{frame} {track} {name} 0 {occlusion} 0 {x} 100 {x + 80} 160 1 1 1 1 1 1 1\n"


def write(path: Path, rows: str) -> Path:
    path.mkdir()
    (path / "0000.txt").write_text(rows)
    return path


@pytest.mark.parametrize(("gap", "switches"), [(0, 2), (1, 1), (2, 1), (3, 0), (15, 0)])
def test_links_bridge_gaps_up_to_the_limit(tmp_path: Path, gap: int, switches: int) -> None:
    truth = write(tmp_path / "truth", "".join(box(n, 7, 10 * n) for n in range(12)))
    seen = [0, 1, 3, 4, 5, 9, 10, 11]  # one frame is missing, then three
    found = write(tmp_path / "found", "".join(box(n, 100 + n, 10 * n) for n in seen))
    data = read_sequences(truth, found, "kitti-box", ["car"])
    combined = measure_sequences([link_perfectly(each, gap) for each in data])[-1]
    assert combined.values["IDSW"] == switches
    assert (combined.values["AssA"] == pytest.approx(100 * 8 / 12)) == (switches == 0)


def test_things_that_are_not_counted_bridge_too(tmp_path: Path) -> None:
    hidden = range(4, 8)  # occluded beyond what KITTI counts: neither these rows nor what finds them is measured
    truth = write(tmp_path / "truth", "".join(box(n, 7, 10 * n, occlusion=3 * (n in hidden)) for n in range(12)))
    found = write(tmp_path / "found", "".join(box(n, n, 10 * n) for n in range(12)))
    [data] = read_sequences(truth, found, "kitti-box", ["car"])
    assert [len(ids) for ids in data.given_ids] == [0 if n in hidden else 1 for n in range(12)]
    assert measure_sequences([link_perfectly(data, 0)])[-1].values["HOTA"] == pytest.approx(100)


def test_limits_fail_the_command(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", "".join(box(n, 1, 10 * n) for n in range(10)))
    found = write(tmp_path / "found", "".join(box(n, 1 + (n > 4), 10 * n) for n in range(10)))
    out = tmp_path / "tracks.json"
    command = ["eval", "tracks", "--gt", str(truth), "--results", str(found), "--format", "kitti-box"]
    command += ["--classes", "car", "--ceiling", "--json", str(out)]
    assert CliRunner().invoke(app, [*command, "--hota-min", "car=70", "--switches-max", "car=1"]).exit_code == 0
    failed = CliRunner().invoke(app, [*command, "--hota-min", "car=99", "--switches-max", "car=0"])
    assert failed.exit_code == 1
    assert "car: HOTA 70.71 < 99; car: 1 switches > 0" in failed.output.replace("\n", " ")
    records = json.loads(out.read_text())["results"]
    ceilings = {each["ceiling_gap"]: each for each in records if each["sequence"] == COMBINED and "ceiling_gap" in each}
    assert {gap: each["IDSW"] for gap, each in ceilings.items()} == {0: 0, 1: 0, 5: 0, 15: 0}


def test_a_drive_is_measured_against_a_drive_and_against_text(tmp_path: Path) -> None:
    frames = street(20)
    drive = record(tmp_path / "drive.zarr", frames)
    data = read_sequences(drive, drive, "drive")
    measured = {each.class_name: each.values for each in measure_sequences(data) if each.sequence == COMBINED}
    assert {name: values["HOTA"] for name, values in measured.items()} == pytest.approx({"car": 100, "pedestrian": 100})
    assert sum(len(ids) for each in data for ids in each.true_ids) == sum(len(each) for each in frames)

    rows = "".join(
        f"{n} {5 + (n > 9)} 1 24 40 {each.instances.masks.to_rle().counts[0].decode()}\n"
        for n, each in enumerate(street(20))
        if len(each) == 1
    )
    text = write(tmp_path / "text", rows)
    [cars] = read_sequences(text, drive, "drive", ["car"])
    assert cars.sequence == "0000"  # the only camera of the drive is the only file of the truth
    assert {int(i) for ids in cars.true_ids for i in ids} == {5, 6}
