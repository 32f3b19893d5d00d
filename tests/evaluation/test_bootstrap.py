"""The paired bootstrap: COCO's own AP on the images as they are, and intervals that mean what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadmask.evaluation import CocoTruth, Result, evaluate_masks, paired_loss, read_results, read_truth
from roadmask.evaluation.average_precision import scored_categories
from roadmask.evaluation.bootstrap import match_masks
from support.coco import car_world, result_of, square_rle


@pytest.fixture(scope="module")
def published(data_dir: Path) -> tuple[CocoTruth, list[Result]]:
    folder = data_dir / "reference" / "coco_eval" / "tests" / "dataset" / "cocoapi"
    truth = read_truth(folder / "instances_val2014_100.json")
    return truth, read_results(folder / "instances_val2014_fakesegm100_results.json", truth)


def test_undrawn_it_is_pycocotools(published: tuple[CocoTruth, list[Result]]) -> None:
    truth, results = published
    categories = scored_categories(truth, None)
    ours = [matches.average_precision() for matches in match_masks(truth, results, categories)]
    theirs = [row.ap for row in evaluate_masks(truth, results)[:-1]]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_weight_is_a_copy_of_the_image(published: tuple[CocoTruth, list[Result]]) -> None:
    truth, results = published
    weights = np.random.default_rng(0).integers(0, 3, len(truth.images))
    identities = sorted(truth.images)
    copies = [(image, image * 10 + n) for image, w in zip(identities, weights, strict=True) for n in range(int(w))]
    copied = replace(
        truth,
        images={new: replace(truth.images[old], id=new) for old, new in copies},
        masks=tuple(replace(m, image_id=new) for old, new in copies for m in truth.masks if m.image_id == old),
    )
    copied_results = [replace(r, image_id=new) for old, new in copies for r in results if r.image_id == old]
    categories = scored_categories(truth, ["pedestrian", "car"])
    ours = [matches.average_precision(weights) for matches in match_masks(truth, results, categories)]
    theirs = [row.ap for row in evaluate_masks(copied, copied_results, ["pedestrian", "car"])[:-1]]
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_equal_results_lose_nothing(published: tuple[CocoTruth, list[Result]]) -> None:
    truth, results = published
    for row in paired_loss(truth, results, results, classes=["pedestrian", "car"], draws=20):
        assert (row.loss, row.low, row.high) == (0, 0, 0)


def test_an_engine_that_misses_things_loses_more_than_luck(published: tuple[CocoTruth, list[Result]]) -> None:
    truth, results = published
    people, mean = paired_loss(truth, results, results[::2], classes=["pedestrian"], draws=200)
    assert 0 < people.low < people.loss < people.high
    assert (people.loss, mean.name) == (mean.loss, "all")
    gained, _ = paired_loss(truth, results[::2], results, classes=["pedestrian"], draws=200)
    assert (gained.loss, gained.low, gained.high) == pytest.approx((-people.loss, -people.high, -people.low))


def test_nothing_found_loses_everything(tmp_path: Path) -> None:
    truth = read_truth(car_world(tmp_path))
    both = [result_of(truth, square_rle(x, 20), 0.9) for x in (0, 40)]
    car, _ = paired_loss(truth, both, [], draws=5)
    assert car.loss == pytest.approx(1)


def test_draws_without_any_object_say_nothing(tmp_path: Path) -> None:
    street = read_truth(car_world(tmp_path))
    [image] = street.images.values()
    truth = replace(street, images={**street.images, **{n: replace(image, id=n) for n in (100, 101, 102)}})
    both = [Result(image.id, 3, square_rle(x, 20), 0.9) for x in (0, 40)]
    for row in paired_loss(truth, both, [], draws=50):  # a third of them miss the one image with cars
        assert (row.low, row.high) == pytest.approx((1, 1)), row.name
