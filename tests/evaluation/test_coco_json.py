"""COCO files are read whole or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InputError
from roadmask.evaluation import read_results, read_truth, write_coco_results
from support.coco import car_document, car_world, result_of, square_rle, write_json


def test_reads_polygons_and_run_lengths_alike(tmp_path: Path) -> None:
    document = car_document()
    document["annotations"].append(
        document["annotations"][0]
        | {"id": 5, "segmentation": {"size": [60, 100], "counts": [10, 20, *[40, 20] * 19, 30 + 80 * 60]}}
    )
    truth = read_truth(write_json(tmp_path / "truth.json", document))
    assert [int(coco_mask.area(mask.rle)) for mask in truth.masks] == [400, 400, 400]
    polygon, _, plain = truth.masks
    assert polygon.rle == plain.rle
    assert truth.class_names == {1: "pedestrian", 3: "car"}
    assert truth.annotated_classes == ("car",)


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    truth = read_truth(car_world(tmp_path))
    results = [result_of(truth, square_rle(0, 20), 0.5), result_of(truth, square_rle(3, 5), 0.25)]
    write_coco_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json", truth) == results


def changed(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["annotations"][1][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("categories"), "expected .* the lists images, annotations, categories; got an object with"),
        (lambda d: d["annotations"].clear(), "expected .* to hold masks to be found, got 0 annotations"),
        (lambda d: [a.update(iscrowd=1) for a in d["annotations"]], "got 2 annotations, none but crowds"),
        (lambda d: d["annotations"][1].pop("segmentation"), "annotation 1 has no 'segmentation'"),
        (lambda d: d["images"][0].update(height=0), "image 0 .* at least 1"),
        (changed("image_id", 8), "annotation 1 .* image_id 8 is not among the images"),
        (changed("category_id", 4), "annotation 1 .* category_id 4 is not among the categories"),
        (changed("segmentation", []), "annotation 1 .* polygons of at least three"),
        (changed("segmentation", [[0, 0, 1, 1]]), "polygons of at least three"),
        (changed("segmentation", [[0, 0, 1, 1, float("nan"), 2]]), "finite corners"),
        (changed("segmentation", {"size": [60, 90], "counts": "0"}), "expected a mask of 100 x 60 pixels"),
        (changed("segmentation", {"size": [60, 100], "counts": [1, 2]}), "add up to the image"),
        (changed("segmentation", {"size": [60, 100], "counts": "~~~~"}), "annotation 1 is not in COCO's form"),
        (changed("segmentation", 5), "annotation 1 is not in COCO's form"),
    ],
)
def test_a_broken_truth_is_refused(tmp_path: Path, change: Callable[[Any], None], words: str) -> None:
    document = car_document()
    change(document)
    path = write_json(tmp_path / "truth.json", document)
    with pytest.raises(InputError, match=words):
        read_truth(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "to be JSON"),
        (b"\xff\xfe", "to be JSON"),
        (b"[" * 100_000, "to be JSON"),
        (b"[]", "got a list"),
    ],
)
def test_what_is_no_truth_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "truth.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_truth(tmp_path / "truth.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 8}, "detection 0 .* image_id 8"),
        ({"category_id": 4}, "detection 0 .* category_id 4"),
        ({"score": float("nan")}, "a finite score"),
        ({"score": None}, "detection 0 is not in COCO's form"),
        ({"segmentation": {"size": [60, 100], "counts": "~~"}}, "detection 0 is not in COCO's form"),
    ],
)
def test_broken_results_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    truth = read_truth(car_world(tmp_path))
    segmentation = {"size": [60, 100], "counts": square_rle(0, 20)["counts"].decode("ascii")}
    row = {"image_id": 7, "category_id": 3, "segmentation": segmentation, "score": 0.5} | change
    path = write_json(tmp_path / "results.json", [row])
    with pytest.raises(InputError, match=words):
        read_results(path, truth)


def test_a_truth_in_place_of_results_is_refused(tmp_path: Path) -> None:
    path = car_world(tmp_path)
    with pytest.raises(InputError, match=r"expected .* COCO results, a list of detections; got an object with images"):
        read_results(path, read_truth(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.json: No such file"):
        read_truth(tmp_path / "none.json")
