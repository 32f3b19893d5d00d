"""Measures of tracks: parity with published summaries, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadmask.cli import app
from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks import COMBINED, MEASURES, measure_tracks

OWN_NAMES = {"sMOTSA": "sMOTA", "MOTSP": "MOTP"}
"""What the summaries of boxes call our measures."""


@pytest.mark.parametrize("tracker", ["CIWT", "GT-OC-SORT", "YOLOX-OC-SORT"])
def test_published_summaries_are_reproduced(data_dir: Path, tracker: str) -> None:
    reference = data_dir / "reference" / "kitti_box"
    heading, figures = (reference / "trackers" / tracker / "car_summary.txt").read_text().splitlines()[:2]
    published = dict(zip(heading.split(), map(float, figures.split()), strict=True))
    measured = measure_tracks(reference / "gt", reference / "trackers" / tracker, "kitti-box", ["car"])
    assert (len(measured), measured[-1].sequence, measured[-1].class_name) == (22, COMBINED, "car")
    assert set(measured[-1].values) == set(MEASURES)
    for name, value in measured[-1].values.items():
        assert value == pytest.approx(published[OWN_NAMES.get(name, name)], abs=0.01), name


def box(frame: int, track: int, x: float, name: str = "Car") -> str:
    return f"{frame} {track} {name} 0 0 0 {x} 100 {x + 80} 160 1 1 1 1 1 1 1\n"


def folder(path: Path, **sequences: str) -> Path:
    path.mkdir()
    for name, text in sequences.items():
        (path / f"{name[1:]}.txt").write_text(text)
    return path


def test_one_switch_is_counted_where_it_happened(tmp_path: Path) -> None:
    straight = "".join(box(n, 1, 10 * n) for n in range(10))
    switched = "".join(box(n, 1 + (n > 4), 10 * n) for n in range(10))
    truth = folder(tmp_path / "truth", s0000=straight, s0001=straight)
    results = folder(tmp_path / "results", s0000=straight, s0001=switched)
    record, plot = tmp_path / "tracks.json", tmp_path / "tracks.png"
    arguments = ["eval", "tracks", "--gt", str(truth), "--results", str(results), "--format", "kitti-box"]
    ran = CliRunner().invoke(app, [*arguments, "--classes", "car", "--json", str(record), "--plot", str(plot)])
    assert ran.exit_code == 0, ran.output
    records = {each["sequence"]: each for each in json.loads(record.read_text())["results"]}
    assert [records[name]["IDSW"] for name in ("0000", "0001", COMBINED)] == [0, 1, 1]
    assert records["0000"]["HOTA"] == pytest.approx(100)
    assert records["0001"]["AssA"] == pytest.approx(50)  # each half shares 5 of 10 frames with the truth
    assert records["0001"]["MOTA"] == pytest.approx(90)
    assert {record["class"] for record in records.values()} == {"car"}
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_masks_are_measured(data_dir: Path, tmp_path: Path) -> None:
    rows = (data_dir / "kitti_mots_gt" / "0017.txt").read_text()
    truth = folder(tmp_path / "truth", s0017=rows)
    (combined,) = [
        each for each in measure_tracks(truth, truth, "kitti-mots", ["pedestrian"]) if each.sequence == COMBINED
    ]
    assert combined.values["HOTA"] == pytest.approx(100)
    assert combined.values["sMOTSA"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("truth", "results", "message"),
    [
        ({"s0000": box(0, 1, 5), "s0001": box(0, 1, 5)}, {"s0000": box(0, 1, 5)}, "lacks the sequences 0001"),
        ({"s0000": box(0, 1, 5)}, {"s0000": box(0, 1, 5) * 2}, "cannot be measured.*more than once"),
        ({"s0000": box(0, 1, 5)}, {"s0000": "x 1 Car\n"}, "begin with a frame number"),
        ({}, {"s0000": box(0, 1, 5)}, "found none"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, truth: dict[str, str], results: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        measure_tracks(folder(tmp_path / "truth", **truth), folder(tmp_path / "results", **results), "kitti-box")


def test_unknown_classes_are_refused(tmp_path: Path) -> None:
    truth = folder(tmp_path / "truth", s0000=box(0, 1, 5))
    with pytest.raises(InputError, match="got tram"):
        measure_tracks(truth, truth, "kitti-box", ["tram"])
