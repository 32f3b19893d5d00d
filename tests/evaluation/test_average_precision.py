"""AP agrees with published figures and with cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.errors import InputError
from roadmask.evaluation import evaluate_masks, read_results, read_truth
from support.coco import car_world, result_of, square_rle


def test_reproduces_the_published_figures(data_dir: Path) -> None:
    folder = data_dir / "reference" / "coco_eval" / "tests" / "dataset" / "cocoapi"
    truth = read_truth(folder / "instances_val2014_100.json")
    found = read_results(folder / "instances_val2014_fakesegm100_results.json", truth)
    every_class = evaluate_masks(truth, found)[-1]
    expected = {
        "AP": 0.320,
        "AP50": 0.562,
        "AP75": 0.299,
        "APs": 0.387,
        "APm": 0.310,
        "APl": 0.327,
        "AR1": 0.268,
        "AR10": 0.415,
        "AR100": 0.417,
    }
    record = every_class.record()
    assert {key: record[key] for key in expected} == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    ("found", "ap", "ap50"),
    [
        # two cars, 20 x 20 pixels each, at x = 0 and x = 40
        ([(0, 20, 0.9), (40, 20, 0.8)], 1.0, 1.0),  # both, exactly
        ([(0, 20, 0.9)], 51 / 101, 51 / 101),  # one: precision 1 up to recall 0.5
        ([(70, 20, 0.9), (0, 20, 0.8), (40, 20, 0.7)], 2 / 3, 2 / 3),  # a false one ranks first
        ([(0, 14, 0.9), (40, 14, 0.8)], 0.5, 1.0),  # 14 of 20 columns: IoU 0.7 passes 5 of 10 thresholds
        ([], 0.0, 0.0),  # nothing found
    ],
)
def test_by_hand(tmp_path: Path, found: list[tuple[int, int, float]], ap: float, ap50: float) -> None:
    truth = read_truth(car_world(tmp_path))
    results = [result_of(truth, square_rle(x, width), score) for x, width, score in found]
    car, mean = evaluate_masks(truth, results)
    assert car.ap == pytest.approx(ap, abs=1e-6)
    assert car.ap50 == pytest.approx(ap50, abs=1e-6)
    assert car.ap_small == pytest.approx(ap, abs=1e-6)
    assert car.ap_large is None, "there is no large car to find"
    assert (car.name, car.truth, car.found) == ("car", 2, len(found))
    assert (mean.name, mean.ap) == ("all", car.ap)


def test_what_lies_on_a_crowd_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    truth = read_truth(car_world(tmp_path, crowd_at=70))
    results = [result_of(truth, square_rle(x, 20), score) for x, score in ((70, 0.9), (0, 0.8), (40, 0.7))]
    car, _ = evaluate_masks(truth, results)
    assert (car.ap, car.truth) == (pytest.approx(1.0), 2)


def test_a_class_without_truth_is_refused(tmp_path: Path) -> None:
    truth = read_truth(car_world(tmp_path))
    with pytest.raises(InputError, match="which has pedestrian, car; got bus"):
        evaluate_masks(truth, [], ["bus"])
