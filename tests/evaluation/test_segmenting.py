"""Images of a ground truth, through a segmenter, to results in the ground truth's own categories."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines import Image, Instances, RleMasks, ScriptedSegmenter
from roadmask.engines.errors import ConfigError, InputError
from roadmask.evaluation import CocoTruth, common_classes, evaluate_masks, find_images, read_truth, segment_truth
from support.coco import SIZE, car_document, car_world, write_json


def cars_of_script(image: Image, _index: int) -> Instances:
    """Both cars, a dog, which the truth has not, and a pedestrian where the second car is."""
    dense = np.zeros((4, *image.shape[:2]), np.uint8)
    for mask, x in zip(dense, (0, 40, 70, 40), strict=True):
        mask[10:30, x : x + 20] = 1
    boxes = np.array([[x, 10, x + 20, 30] for x in (0, 40, 70, 40)], np.float32)
    size = image.shape[:2]
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    return Instances(size, boxes, scores, np.array([3, 3, 18, 1]), RleMasks.from_dense(dense, size))


@pytest.fixture
def truth(tmp_path: Path) -> CocoTruth:
    cv2.imwrite(str(tmp_path / "street.png"), np.full((*SIZE, 3), 90, np.uint8))
    return read_truth(car_world(tmp_path))


def test_finds_what_is_there(truth: CocoTruth, tmp_path: Path) -> None:
    seen: list[None] = []
    results = segment_truth(ScriptedSegmenter(cars_of_script), truth, tmp_path, lambda: seen.append(None))
    assert [result.category_id for result in results] == [3, 3, 1]
    car, _ = evaluate_masks(truth, results)
    assert car.ap == pytest.approx(1.0)
    assert len(seen) == 1


def test_categories_meet_by_name(tmp_path: Path, truth: CocoTruth) -> None:
    document = car_document()
    document["categories"][1]["id"] = 77
    for annotation in document["annotations"]:
        annotation["category_id"] = 77
    other = read_truth(write_json(tmp_path / "other.json", document))
    results = segment_truth(ScriptedSegmenter(cars_of_script), other, tmp_path)
    assert [result.category_id for result in results] == [77, 77, 1]


def test_classes(truth: CocoTruth, tmp_path: Path) -> None:
    assert common_classes(truth, (1, 3)) == ("car",)
    assert common_classes(truth, (1, 3), ["car"]) == ("car",)
    with pytest.raises(InputError, match="has no masks of pedestrian, it has car"):
        common_classes(truth, (1, 3), ["person"])
    with pytest.raises(ConfigError, match="masks of car, which the model does not know: choose other weights"):
        common_classes(truth, (1,))
    with pytest.raises(ConfigError, match="the model does not know the class 'car'"):
        common_classes(truth, (1,), ["car"])


def test_missing_images_are_named(truth: CocoTruth, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="to be the folder of the images"):
        find_images(truth, tmp_path / "none")
    (tmp_path / "street.png").unlink()
    with pytest.raises(InputError, match=r"1 are missing: street\.png"):
        find_images(truth, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read"),
        (b"text", "expected an image"),
        (cv2.imencode(".png", np.zeros((60, 90, 3), np.uint8))[1].tobytes(), "is 90 x 60, the ground truth says 100 x"),
    ],
)
def test_wrong_images_are_refused(truth: CocoTruth, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "street.png").write_bytes(content)
    with pytest.raises(InputError, match=words):
        segment_truth(ScriptedSegmenter(cars_of_script), truth, tmp_path)
