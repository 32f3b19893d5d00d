"""What a label set holds is counted by object, and what it lacks is said in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.training.labels.balance import balance
from roadmask.training.labels.description import LabelSource
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.records import LabelState, Record
from roadmask.training.labels.writing import LabelWriter
from support.label_sets import image_of, label_of, made_set, mask_of, small_set

BIG = (200, 300)


def street(folder: Path) -> Path:
    """Twelve cars of three sizes in two drives by day, one cyclist, a crowd, and a class that has none."""
    records: dict[str, list[Record]] = {"city": [], "park": []}
    for n in range(12):
        drive, side = ("park" if n == 11 else "city"), (20, 50, 110)[n % 3]
        for frame in range(2):
            if n in (0, 11):
                records[drive].append(image_of(frame, drive, size=BIG))
            counts = mask_of(0, 0, side, side, BIG)
            records[drive].append(label_of(frame, n + 1, drive, counts=counts, state=LabelState.ACCEPTED))
    counts = mask_of(0, 0, 40, 40, BIG)
    records["park"].append(label_of(0, 40, "park", class_name="cyclist", counts=counts))
    records["park"].append(label_of(0, 41, "park", crowd=True, counts=counts))
    records["park"].append(label_of(1, 42, "park", state=LabelState.REJECTED, counts=counts))
    records["city"] += [image_of(99, size=BIG)]
    with LabelWriter(folder, {"car": 3, "cyclist": 101, "bus": 6}) as writer:
        for drive, start in (("city", "2026-05-04T11:59:59.950+02:00"), ("park", None)):
            writer.add(records[drive], LabelSource(drive, "MIT", recorded_at=start))
    return folder


def test_objects_are_counted_by_class_size_hour_and_drive(tmp_path: Path) -> None:
    found = balance(read_label_set(street(tmp_path / "set")), 5)
    car, cyclist, bus = found.classes
    assert (car.objects, car.sightings, car.images, car.decided, car.crowds) == (12, 24, 4, 24, 1)
    assert car.by_size == {"small": 4, "medium": 4, "large": 4}
    assert car.by_hour == {11: 11}
    assert car.by_drive == {"city": 11, "park": 1}
    assert (cyclist.objects, cyclist.by_hour, bus.objects) == (1, {}, 0)
    assert (found.images, found.empty_images, found.hours_known) == (5, 1, True)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folder = street(tmp_path / "set")
    assert balance(read_label_set(folder), 5).lacks == (
        "car comes from one drive: 11 of 12 are in city.",
        "No car was labelled at night or in the morning or in the evening.",
        "cyclist has 1 object, 4 fewer than 5.",
        "cyclist lacks small ones (0 of 1) and large ones (0 of 1).",
        "bus has 0 objects, 5 fewer than 5.",
        "There are 12 times as many objects of car as of cyclist.",
    )
    text = (folder / "set.toml").read_text()
    (folder / "set.toml").write_text(text.replace('"MIT"', '"unknown"', 1))
    assert "The licence of city is unknown: state it in set.toml." in balance(read_label_set(folder)).lacks
    undecided = small_set(tmp_path / "small")
    assert "A person has decided 0 of 6 labels." in balance(read_label_set(undecided)).lacks
    assert balance(read_label_set(made_set(tmp_path / "empty", []))).lacks == (
        "The label set is empty: add recordings with roadmask annotate.",
    )


def test_an_hour_is_that_of_the_first_sighting(tmp_path: Path) -> None:
    records = [image_of(n, time_ns=n * 1800 * 10**9) for n in range(4)]
    found = balance(read_label_set(made_set(tmp_path / "set", [*records, label_of(1, 1), label_of(0, 2)])))
    assert found.classes[1].by_hour == {0: 1, 23: 1}, "the recording begins at 23:30"
    assert replace(found, lacks=()) != found


def test_the_command_prints_draws_and_fails_below_a_minimum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    folder, picture, runner = street(tmp_path / "set"), tmp_path / "balance.png", CliRunner()
    run = runner.invoke(app, ["balance", str(folder), "--plot", str(picture)])
    assert run.exit_code == 0, run.output
    assert "4/4/4" in run.output
    assert "car comes from one drive" in run.output
    image = cv2.imread(str(picture))
    assert image.shape[1] == 1430
    assert image.std() > 10
    run = runner.invoke(app, ["balance", str(folder), "--json", "--min", "2"])
    assert run.exit_code == 1
    assert "fewer of cyclist (1), bus (0)" in run.stderr
    assert json.loads(run.stdout)["classes"][0]["by_drive"] == {"city": 11, "park": 1}
    empty = made_set(tmp_path / "empty", [])
    run = runner.invoke(app, ["balance", str(empty), "--plot", str(picture)])
    assert run.exit_code == 0, run.output
    assert runner.invoke(app, ["balance", str(tmp_path)]).exit_code != 0
    assert runner.invoke(app, ["balance", str(folder), "--min", "1", "--plot", "b.jpg"]).exit_code != 0
