"""Recordings become labels with ids; what a person decided and what was annotated before stays."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import roadmask.training.labels.annotate as annotating
from roadmask.cli.app import app
from roadmask.engines.errors import InputError
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.store import open_drive
from roadmask.training.labels import stills
from roadmask.training.labels.annotate import annotate
from roadmask.training.labels.frames import image_files
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.records import LabelState
from roadmask.training.labels.stills import annotate_stills
from roadmask.training.labels.writing import LabelWriter
from roadmask.training.samples import read_training_sets
from support.drives import CAR_COLOUR, bright_segmenter

SIZE = (48, 96)


def clip(folder: Path, frames: int = 20, hidden: range = range(0), start: int = 0) -> Path:
    """A grey street on which one bright car drives to the right, as a folder of images."""
    folder.mkdir(parents=True)
    for n in range(frames):
        image = np.full((*SIZE, 3), 60, np.uint8)
        if n not in hidden:
            image[24:34, start + 2 * n : start + 2 * n + 18] = CAR_COLOUR
        cv2.imwrite(str(folder / f"{n:03d}.png"), image)
    return folder


def test_a_recording_becomes_labels_with_ids(tmp_path: Path) -> None:
    out = tmp_path / "labels"
    [outcome] = annotate([str(clip(tmp_path / "clip"))], out, licence="MIT", build=bright_segmenter)
    assert (outcome.frames, outcome.objects, outcome.labels, outcome.doubtful) == (20, {"car": 1}, 20, 0)
    labels = read_label_set(out)
    [car] = labels.objects.values()
    assert [label.frame for label in car] == list(range(20))
    assert {(label.state, label.class_name, label.score) for label in car} == {(LabelState.PROPOSED, "car", 0.9)}
    assert labels.description.sources["clip"].licence == "MIT"
    assert labels.images["clip", 7].time_ns == 700_000_000
    pixels = cv2.imread(str(image_files(labels)["clip", 7]))[..., 0]
    training = read_training_sets([out])
    assert len(training.images) == 20
    [mask] = training.images[7].masks()
    assert (pixels[mask] > 150).mean() > 0.8, "the masks of the script are a pixel wider"
    assert not (pixels[~mask] > 150).any()


def test_tracks_are_joined_and_doubtful_sightings_are_marked(tmp_path: Path) -> None:
    hidden = range(12, 27)  # 1.5 s: the tracker gives up, offline joining does not
    source = str(clip(tmp_path / "clip", 38, hidden))
    [outcome] = annotate([source], tmp_path / "labels", build=bright_segmenter)
    [car] = read_label_set(tmp_path / "labels").objects.values()
    assert [label.frame for label in car] == [n for n in range(38) if n not in hidden]
    assert {label.frame: label.why for label in car if label.doubt} == {11: ("gap",), 27: ("gap",)}
    [first] = outcome.ranking
    assert (first.class_name, first.frame, first.why) == ("car", 11, ("gap",))
    assert outcome.doubtful == 2


def test_what_was_annotated_and_decided_stays_and_new_recordings_are_added(tmp_path: Path) -> None:
    out = tmp_path / "labels"
    one, two = str(clip(tmp_path / "one")), str(clip(tmp_path / "two", start=10))
    annotate([one], out, build=bright_segmenter)
    with LabelWriter(out) as writer:
        writer.decide([each for key, each in writer.labels.labels.items() if key[1] > 5], LabelState.ACCEPTED, "ada")
        writer.decide([writer.labels.labels["one", 3, 1]], LabelState.REJECTED, "ada")
    before = (out / "labels.jsonl").read_bytes()
    version = read_label_set(out).version
    [again] = annotate([one], out, build=None)  # no engine is needed
    assert again.annotated_before
    assert read_label_set(out).version == version
    told: list[str] = []
    annotate([one, two], out, build=bright_segmenter, every=4, on_drive=lambda each: told.append(each.drive))
    assert told == ["one", "two"]
    labels = read_label_set(out)
    assert (out / "labels.jsonl").read_bytes().startswith(before)
    assert [key[1] for key in labels.images if key[0] == "two"] == [0, 4, 8, 12, 16]
    assert labels.labels["one", 3, 1].state is LabelState.REJECTED


def test_an_interrupted_run_adds_nothing_and_the_same_call_continues(tmp_path: Path) -> None:
    source, out, stop = str(clip(tmp_path / "clip", 30)), tmp_path / "labels", threading.Event()

    def end(progress: dict) -> None:
        if progress["clip"].frames >= 12:
            stop.set()

    [outcome] = annotate([source], out, build=bright_segmenter, on_progress=end, stop=stop)
    assert outcome.interrupted
    assert not read_label_set(out).images
    [outcome] = annotate([source], out, build=bright_segmenter)
    assert outcome.frames == 30
    annotate([source], tmp_path / "whole", build=bright_segmenter)
    assert read_label_set(out).version == read_label_set(tmp_path / "whole").version


def test_a_store_becomes_labels_without_an_engine(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip")
    record_drive({"front": str(source)}, tmp_path / "monday.zarr", build=bright_segmenter)
    [outcome] = annotate([str(tmp_path / "monday.zarr")], tmp_path / "labels")
    assert (outcome.drive, outcome.labels) == ("monday", 20)
    stored = open_drive(tmp_path / "monday.zarr")["front"].frame(3)
    label = read_label_set(tmp_path / "labels").labels["monday", 3, int(stored.track_ids[0])]
    assert label.counts == stored.instances.masks.to_rle().counts[0]
    with pytest.raises(InputError, match="both be the drive 'monday'"):
        annotate([str(tmp_path / "monday.zarr"), f"monday={source}"], tmp_path / "labels")
    [named] = annotate([f"tuesday={tmp_path / 'monday.zarr'}"], tmp_path / "labels")
    assert named.drive == "tuesday"


def test_images_that_are_no_recording_are_labelled_alone(tmp_path: Path) -> None:
    folder, out = clip(tmp_path / "photos", 3), tmp_path / "labels"
    cv2.imwrite(str(folder / "003.png"), np.full((30, 40, 3), CAR_COLOUR, np.uint8))
    (folder / "004.jpg").write_bytes(b"no image")
    [outcome] = annotate_stills([str(folder)], out, build=bright_segmenter)
    assert (outcome.frames, outcome.labels, outcome.problem) == (4, 4, "1 images could not be read")
    labels = read_label_set(out)
    assert list(labels.objects) == [("photos", n) for n in (1, 2, 3, 4)]
    assert labels.images["photos", 3].size == (30, 40)
    assert len(read_training_sets([out]).images) == 4
    cv2.imwrite(str(folder / "005.png"), np.full((30, 40, 3), 60, np.uint8))
    [outcome] = annotate_stills([str(folder)], out, build=bright_segmenter)
    assert (outcome.frames, outcome.labels) == (1, 0), "an image without objects counts, too"
    assert ("photos", 4) in read_label_set(out).images
    with pytest.raises(InputError, match="found none"):
        annotate_stills([str(tmp_path)], out)
    annotate([str(clip(tmp_path / "clip"))], out, build=bright_segmenter)
    with pytest.raises(InputError, match="clip is a recording"):
        annotate_stills([str(tmp_path / "clip")], out, build=bright_segmenter)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for module in (annotating, stills):
        monkeypatch.setattr(module, "build_segmenter", lambda _config: bright_segmenter())
    monkeypatch.setenv("COLUMNS", "120")
    return CliRunner()


def test_the_command_shows_what_was_found_and_what_to_look_at(scripted: CliRunner, tmp_path: Path) -> None:
    source, out = clip(tmp_path / "clip", 38, range(12, 27)), tmp_path / "labels"
    run = scripted.invoke(app, ["annotate", str(source), "--out", str(out), "--licence", "MIT"])
    assert run.exit_code == 0, run.output
    assert "car 1" in run.output
    assert "Look at these first" in run.output
    assert "gap" in run.output
    again = scripted.invoke(app, ["annotate", str(source), "--out", str(out)])
    assert "annotated before" in again.output
    broken = clip(tmp_path / "broken")
    (broken / "007.png").write_bytes(b"no image")
    run = scripted.invoke(app, ["annotate", str(broken), "--out", str(out)])
    assert run.exit_code == 3
    assert "1 frames failed and have no labels" in run.output
    run = scripted.invoke(app, ["annotate", str(source), "--stills", "--out", str(tmp_path / "other")])
    assert run.exit_code == 0, run.output
    assert len((tmp_path / "other" / "labels.jsonl").read_text().splitlines()) == 24 + 23, "15 images are equal"
    assert json.loads((tmp_path / "other" / "labels.jsonl").read_text().splitlines()[0])["file"] == "../clip/000.png"


def test_labels_go_to_another_tool_and_come_back(scripted: CliRunner, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    annotate([str(clip(tmp_path / "clip", 4))], out, build=bright_segmenter)
    export = ["labels", "export", str(out), str(tmp_path / "tasks.xml"), "--to", "cvat"]
    run = scripted.invoke(app, [*export, "--images", str(tmp_path / "tasks")])
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in (tmp_path / "tasks" / "clip").iterdir()) == [f"{n:06d}.jpg" for n in range(4)]
    back = ["labels", "import", str(tmp_path / "tasks.xml"), "--from", "cvat", "--out"]
    run = scripted.invoke(app, [*back, str(out), "--person", "ada"])
    assert "4 accepted, 0 fixed, 0 rejected" in run.output
    run = scripted.invoke(app, [*back, str(tmp_path / "new"), "--images", str(tmp_path / "tasks"), "--add-classes"])
    assert run.exit_code == 0, run.output
    assert len(read_training_sets([tmp_path / "new"]).images) == 4
    run = scripted.invoke(app, ["labels", "show", str(out)])
    assert run.exit_code == 0, run.output
    assert read_label_set(out).version[:16] in run.output
