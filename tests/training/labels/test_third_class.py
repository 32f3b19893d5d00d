"""A class that COCO does not have is trained, run, tracked, stored, exported, evaluated and annotated without code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from roadmask.engines import load_segmenter
from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.errors import ConfigError, InputError, WeightsError
from roadmask.engines.networks.weights import find_weights
from roadmask.evaluation import common_classes, evaluate_masks, read_truth, segment_truth
from roadmask.sample_drive import SampleDriveConfig
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.store import open_drive
from roadmask.training.added_classes import with_added_classes
from roadmask.training.augment import NO_JITTER
from roadmask.training.labels.annotate import annotate
from roadmask.training.labels.formats.merging import merge
from roadmask.training.labels.formats.registry import label_format
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.writing import LabelWriter
from roadmask.training.rendered import write_rendered_set
from roadmask.training.settings import TrainingSettings
from roadmask.training.train import train_weights

SHAPE = (96, 160)
QUICK = TrainingSettings(
    steps=3, batch=1, input_size=SHAPE, jitter=NO_JITTER, paste=0, validation_share=0, patience=0, threads=1,
    precision="fp32",
)  # fmt: skip


@pytest.fixture(scope="module")
def cyclists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A label set, and its ground truth in COCO's form, whose pedestrians are cyclists."""
    folder = tmp_path_factory.mktemp("cyclists")
    write_rendered_set(folder / "street", SampleDriveConfig(height=96, width=160, seed=1001), [85, 130])
    path = folder / "street" / "instances.json"
    document = json.loads(path.read_text())
    for category in document["categories"]:
        if category["name"] == CLASS_NAMES[1]:
            category["name"] = "cyclist"
    path.write_text(json.dumps(document))
    with LabelWriter(folder / "labels") as writer:
        chosen = label_format("coco")
        merge(writer, chosen.read(path, "street"), chosen, "ada", images=folder / "street" / "images", add_classes=True)
    return folder / "labels", folder / "street"


@pytest.fixture(scope="module")
def trained(cyclists: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_weights([cyclists[0]], find_weights("lite"), QUICK, tmp_path_factory.mktemp("run")).path


def test_heads_are_added_and_the_others_kept(tmp_path: Path) -> None:
    lite = find_weights("lite")
    classes = {1: "pedestrian", 101: "cyclist", 18: "dog"}
    grown = with_added_classes(lite, classes, tmp_path / "a.safetensors", seed=3)
    assert grown.category_ids == (0, 1, 2, 3, 4, 6, 8, 18, 101)
    assert grown.class_names[101] == "cyclist"
    assert with_added_classes(lite, classes, tmp_path / "b.safetensors", seed=3).sha256 == grown.sha256
    assert with_added_classes(grown, classes, tmp_path / "c.safetensors", seed=3) is grown
    before, after = load_file(lite.path), load_file(grown.path)
    for name, value in before.items():
        torch.testing.assert_close(after[name][: len(value)], value.float(), rtol=0, atol=0)
    again = with_added_classes(grown, {102: "rider"}, tmp_path / "d.safetensors", seed=3)
    assert again.added_classes == ((18, "dog"), (101, "cyclist"), (102, "rider"))
    with pytest.raises(InputError, match="the category id 101 is cyclist in"):
        with_added_classes(grown, {101: "rider"}, tmp_path / "e.safetensors", seed=3)
    save_file(after, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="2 more outputs than lite, its metadata names 0 added"):
        find_weights(tmp_path / "bare.safetensors")


@pytest.mark.ci
def test_the_class_goes_all_the_way(trained: Path, cyclists: tuple[Path, Path], tmp_path: Path) -> None:
    labels, truth_folder = cyclists
    assert read_label_set(labels).description.classes["cyclist"] == 101
    weights = find_weights(trained)
    assert weights.added_classes == ((101, "cyclist"),)
    with safe_open(trained, framework="numpy") as file:
        about = json.loads(file.metadata()["roadmask"])
    assert about["label_versions"] == [read_label_set(labels).version]
    assert about["classes"] == {"3": "car", "101": "cyclist"}
    options = {"engine": "torch", "score_min": 0.05, "input_size": SHAPE}
    segmenter = load_segmenter(trained, classes=["cyclist", "car"], **options)
    assert segmenter.info.class_names == {3: "car", 101: "cyclist"}
    with pytest.raises(ConfigError, match="does not know the class 'cyclists': did you mean 'cyclist'"):
        load_segmenter(trained, classes=["cyclists"], **options)

    truth = read_truth(truth_folder / "instances.json")
    assert common_classes(truth, weights.class_names) == ("cyclist", "car")
    results = segment_truth(segmenter, truth, truth_folder / "images")
    assert {row.name for row in evaluate_masks(truth, results)} == {"cyclist", "car", "all"}

    config = RunConfig(EngineConfig(str(trained), "torch", classes=("cyclist", "car"), score_min=0.05,
                                    input_size="96x160"))  # fmt: skip
    store = tmp_path / "drive.zarr"
    record_drive({"front": str(truth_folder / "images")}, store, config)
    drive = open_drive(store)
    assert drive.class_names == {3: "car", 101: "cyclist"}
    assert set(np.concatenate([frame.instances.category_ids for frame in drive["front"]]).tolist()) <= {3, 101}
    export_drive(ExportJob(drive), "coco", str(tmp_path / "drive.json"))
    named = {each["id"]: each["name"] for each in json.loads((tmp_path / "drive.json").read_text())["categories"]}
    assert named == {3: "car", 101: "cyclist"}
    annotate([f"again={store}"], tmp_path / "labels")
    assert read_label_set(tmp_path / "labels").description.classes == {"car": 3, "cyclist": 101}


@pytest.mark.ci
def test_a_resumed_run_ends_with_the_same_bytes(trained: Path, cyclists: tuple[Path, Path], tmp_path: Path) -> None:
    done = [0]
    run = train_weights(
        [cyclists[0]],
        find_weights("lite"),
        QUICK,
        tmp_path,
        on_progress=lambda progress: done.__setitem__(0, progress.step),
        stop=lambda: done[0] >= 1,
    )
    assert not run.result.finished
    run = train_weights([cyclists[0]], find_weights("lite"), QUICK, tmp_path, resume=True)
    assert run.path.read_bytes() == trained.read_bytes()
