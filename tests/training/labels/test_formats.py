"""Labels go through the formats of other tools and come back with every id and every pixel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roadmask.engines import RleMasks
from roadmask.engines.errors import InputError
from roadmask.training.labels.formats.interchange import image_name
from roadmask.training.labels.formats.merging import Merged, merge
from roadmask.training.labels.formats.polygons import mask_of_rings, rings_of
from roadmask.training.labels.formats.registry import LABEL_FORMATS, export_labels, label_format
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.records import LabelState
from roadmask.training.labels.writing import LabelWriter
from support.label_sets import SIZE, image_of, label_of, made_set, mask_of, ringed, small_set


def exported(folder: Path, name: str, out: Path) -> Path:
    path = out / f"out{LABEL_FORMATS[name].suffix}"
    export_labels(read_label_set(folder), name, path)
    return path


def imported(folder: Path, name: str, path: Path, drive: str = "city", **options: Any) -> Merged:
    with LabelWriter(folder) as writer:
        return merge(writer, label_format(name).read(path, drive), label_format(name), "ada", **options)


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_a_round_trip_keeps_every_id_and_every_pixel(name: str, tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    before = {key: (each.class_name, each.counts) for key, each in read_label_set(folder).labels.items()}
    if name == "kitti-mots":  # no two of its masks share a pixel
        with LabelWriter(folder) as writer:
            car = [writer.labels.labels["city", n, 1] for n in (1, 2)]
            writer.decide([replace(each, counts=mask_of(50, 5, 20, 20)) for each in car], LabelState.FIXED, "bob")
        before = {key: (each.class_name, each.counts) for key, each in read_label_set(folder).labels.items()}
    path = exported(folder, name, tmp_path)
    foreign = label_format(name).read(path, "city")
    back = {}
    for label in foreign.labels:
        image = foreign.images[label.image]
        back[image.drive, image.frame, label.object] = (label.class_name, label.counts)
    assert back == before
    outcome = imported(folder, name, path)
    assert outcome == Merged(accepted=4 if name == "kitti-mots" else 6)
    labels = read_label_set(folder).labels.values()
    assert {each.state for each in labels} - {LabelState.FIXED} == {LabelState.ACCEPTED}
    assert imported(folder, name, path) == Merged(), "the second time nothing changes"


@pytest.mark.parametrize("name", [name for name in LABEL_FORMATS if name != "kitti-mots"])
def test_what_was_changed_elsewhere_comes_back_as_decisions(name: str, tmp_path: Path) -> None:
    folder, elsewhere = small_set(tmp_path / "set"), small_set(tmp_path / "elsewhere")
    with LabelWriter(elsewhere) as writer:
        labels = writer.labels.labels
        writer.decide([replace(labels["city", 0, 1], counts=mask_of(30))], LabelState.FIXED, "bob")
        writer.decide([labels["city", 1, 2]], LabelState.REJECTED, "bob")
        writer.decide([label_of(3, 9)], LabelState.FIXED, "bob")
    outcome = imported(folder, name, exported(elsewhere, name, tmp_path))
    assert outcome == Merged(added=1, accepted=4, fixed=1, rejected=1)
    labels = read_label_set(folder).labels
    assert labels["city", 0, 1].counts == mask_of(30)
    assert labels["city", 1, 2].state is LabelState.REJECTED
    assert labels["city", 3, 9].source == "person:ada"


def test_labels_of_new_images_come_with_their_files(tmp_path: Path) -> None:
    elsewhere = made_set(tmp_path / "elsewhere", [image_of(n) for n in range(2)] + [label_of(1, 4, score=0.7)])
    path = exported(elsewhere, "coco", tmp_path)
    folder = made_set(tmp_path / "set", [])
    with pytest.raises(InputError, match="is not in the label set, and no folder of images was given: add --images"):
        imported(folder, "coco", path)
    with pytest.raises(InputError, match=r"there is no .*city/000000\.jpg"):
        imported(folder, "coco", path, images=tmp_path)
    (tmp_path / "city").mkdir()
    for n in range(2):
        cv2.imwrite(str(tmp_path / "city" / f"{n:06d}.jpg"), np.zeros((*SIZE, 3), np.uint8))
    assert imported(folder, "coco", path, images=tmp_path, licence="MIT") == Merged(images=2, added=1)
    labels = read_label_set(folder)
    assert labels.images["city", 1].file == "../city/000001.jpg"
    assert labels.description.sources["city"].licence == "MIT"
    label = labels.labels["city", 1, 4]
    assert (label.state, label.score) == (LabelState.PROPOSED, 0.7), "a model's label is not a person's"


def test_a_file_without_ids_and_frames_gets_them(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = []
    for n, name in enumerate(("b.png", "a_7.png"), 1):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((*SIZE, 3), np.uint8))
        rows.append({"id": n, "file_name": name, "height": 60, "width": 80})
    ring = [10.0, 10.0, 40.0, 10.0, 40.0, 30.0, 10.0, 30.0]
    annotations = [{"id": n, "image_id": 1 + n % 2, "category_id": 5, "segmentation": [ring]} for n in range(3)]
    document = {"images": rows, "annotations": annotations, "categories": [{"id": 5, "name": "Person"}]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    folder = made_set(tmp_path / "set", [])
    assert imported(folder, "coco", tmp_path / "a.json", "photos", images=tmp_path / "images").added == 3
    assert list(read_label_set(folder).labels) == [("photos", 0, 1), ("photos", 0, 2), ("photos", 1, 3)]


def test_wrong_files_are_named(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    path = exported(folder, "coco", tmp_path)
    whole = json.loads(path.read_text())

    def changed(**fields: Any) -> Path:
        first, *rest = whole["annotations"]
        path.write_text(json.dumps(whole | {"annotations": [first | fields, *rest]}))
        return path

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"segmentation": [[1, 1, 9, 9]]}, r"annotation 0: expected polygons of at least three x, y pairs"),
        ({"segmentation": {"size": [60, 80], "counts": "~~"}}, r"annotation 0: "),
        ({"category_id": 77}, r"annotation 0: category_id 77 is not among the categories"),
        ({"image_id": 77}, r"annotation 0: image_id 77 is not among the images"),
        ({"track_id": 2, "image_id": 2}, r"object 2 is twice in city/000001\.jpg"),
    ]
    for fields, expected in wrong:
        with pytest.raises(InputError, match=expected):
            imported(folder, "coco", changed(**fields))
    whole["categories"][1]["name"] = "cars"
    with pytest.raises(InputError, match="the label set has no class 'cars': did you mean 'car'"):
        imported(folder, "coco", changed())
    whole["categories"][1]["name"] = "Cyclist"
    with pytest.raises(InputError, match="an object has one class"):
        imported(folder, "coco", changed(category_id=1), add_classes=True)
    for name, text in (("cvat", "<no>"), ("cvat", "<a/>"), ("darwin", "[]"), ("darwin", '{"annotations":[]}')):
        (tmp_path / "wrong").write_text(text)
        with pytest.raises(InputError, match="expected"):
            label_format(name).read(tmp_path / "wrong", "city")
    with pytest.raises(InputError, match="already exists"):
        export_labels(read_label_set(folder), "coco", path)
    with pytest.raises(InputError, match=r"ends in \.xml"):
        export_labels(read_label_set(folder), "cvat", tmp_path / "a.json")
    with pytest.raises(InputError, match="a format among coco, cvat"):
        label_format("yolo")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_datumaro_reads_coco_and_cvat(tmp_path: Path) -> None:
    dataset = pytest.importorskip("datumaro.components.dataset", reason="needs datumaro, see the Makefile").Dataset
    labels = read_label_set(small_set(tmp_path / "set"))
    expected = {key: each.counts for key, each in labels.labels.items()}
    for name, kind in (("coco", "coco_instances"), ("cvat", "cvat")):
        path = exported(labels.path, name, tmp_path / "annotations")  # where datumaro expects COCO
        for place in (tmp_path / "images", tmp_path / "annotations" / "images"):
            for image in labels.images.values():
                (place / image.drive).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place / image_name(image)), np.zeros((*SIZE, 3), np.uint8))
        loaded = dataset.import_from(str(path), kind)
        found = {}
        for item in loaded:
            drive, frame = item.id.split("/")[-2:]
            masks = [each for each in item.annotations if hasattr(each, "image")]  # not the boxes of COCO
            for each in masks:
                dense = np.asarray(each.image, bool)[None]
                found[drive, int(frame), int(each.attributes["track_id"])] = RleMasks.from_dense(dense).counts[0]
        assert found == expected, name


@given(arrays(np.bool_, (9, 11)))
def test_polygons_lose_no_pixel_whatever_the_mask(dense: np.ndarray) -> None:
    counts = RleMasks.from_dense(dense[None]).counts[0]
    assert mask_of_rings(rings_of(counts, (9, 11)), (9, 11)) == counts


@given(st.integers(0, 2**32 - 1))
def test_polygons_of_other_tools_keep_nearly_every_pixel(seed: int) -> None:
    """Rounded to whole pixels by another tool, masks from 400 px keep an IoU of 0.98 and from 50 px of 0.9."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((1, 120, 160), np.uint8)
    axes = rng.integers(4, 40), rng.integers(4, 40)
    cv2.ellipse(dense[0], (80, 60), tuple(map(int, axes)), float(rng.integers(180)), 0, 360, 1, -1)
    cv2.circle(dense[0], (80, 60), int(min(axes) // 3), 0, -1)
    masks = RleMasks.from_dense(dense)
    rounded = [np.round(ring * 4) / 4 for ring in rings_of(masks.counts[0], (120, 160))]
    back = RleMasks((mask_of_rings(rounded, (120, 160)),), (120, 160))
    assert masks.iou(back)[0, 0] >= (0.98 if masks.area[0] >= 400 else 0.9)


def test_rings_that_leave_the_image_and_those_that_are_none() -> None:
    assert mask_of_rings([[(-5, -5), (40, -5), (40, 20), (-5, 20)]], SIZE) == mask_of(0, 0, 40, 20)
    assert mask_of_rings([], SIZE) == mask_of(0, 0, 0, 0)
    assert len(rings_of(ringed(), SIZE)) == 3, "the part, its hole, and the other part"
    with pytest.raises(InputError, match="three corners or more, got 2"):
        mask_of_rings([[(0, 0), (5, 5)]], SIZE)
    with pytest.raises(InputError, match="finite corners"):
        mask_of_rings([[(0, 0), (5, float("nan")), (1, 2)]], SIZE)
