"""Labels and errors of distances, and the bars on real sequences and on the sample drive."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines.classes import PEDESTRIAN
from roadmask.evaluation.distance.measures import measure_groups, measure_pairs
from roadmask.evaluation.distance.measuring import (
    MeasuredSequence,
    kitti_camera,
    kitti_sequences,
    measure_frames,
    read_frames,
)
from roadmask.evaluation.distance.sample import sample_calibration, sample_truth
from roadmask.evaluation.distance.truth import read_truth
from roadmask.geometry.distance.estimator import DistanceEstimator
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from support.kitti_distance import made_up


def test_labels_give_the_nearest_corner(tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    objects = read_truth(tmp_path / "gt" / "0001.txt")[0]
    assert objects.metres[0] == pytest.approx(15)
    assert objects.lateral[0] == pytest.approx(0.3)


@pytest.fixture(scope="module")
def sample() -> tuple[SampleDrive, MeasuredSequence]:
    drive = SampleDrive(SampleDriveConfig(fps=12.5))  # the truth of all 250 frames takes seconds to draw
    truths = [drive.truth(n) for n in range(len(drive))]
    measured = measure_frames(
        [each.instances for each in truths],
        [each.object_ids for each in truths],
        sample_calibration(drive),
        {n: sample_truth(drive, n, each) for n, each in enumerate(truths)},
        when=lambda n: round(n * 1e9 / drive.fps),
    )
    return drive, measured


@pytest.mark.ci
def test_the_sample_drive_is_within_two_per_cent(sample: tuple[SampleDrive, MeasuredSequence]) -> None:
    _, measured = sample
    pairs = measured.pairs
    seen = pairs[pairs.visible & np.isfinite(pairs.metres)]
    assert len(seen) > 500
    assert np.median(np.abs(seen.metres / seen.truth - 1)) <= 0.02
    assert measured.estimator.pitch_doubt is None


@pytest.mark.ci
@pytest.mark.parametrize("degrees", [1, -1])
def test_a_wrong_pitch_of_the_sample_drive_is_flagged(degrees: int) -> None:
    drive = SampleDrive()
    camera = sample_calibration(drive).with_mounting(pitch=math.radians(degrees))
    estimator = DistanceEstimator(camera)
    for n in range(100):
        truth = drive.truth(n)
        estimator(truth.instances, truth.object_ids, round(n * 1e9 / drive.fps))
        if estimator.pitch_doubt:
            break
    assert estimator.pitch_doubt is not None


@pytest.mark.ci
def test_the_bars_on_kitti(data_dir: Path) -> None:
    folders = data_dir / "kitti_mots_gt", data_dir / "kitti_calibration", data_dir / "reference" / "kitti_box" / "gt"
    measured = {
        name: measure_frames(*read_frames(masks), kitti_camera(calibration), read_truth(gt))
        for name, masks, calibration, gt in kitti_sequences(*folders)
    }
    groups = measure_groups({name: each.pairs for name, each in measured.items()}, "0011")
    whole = {
        (each.sequences, each.class_name): each
        for each in groups
        if each.visible and (each.nearest, each.farthest) == (2, 80)
    }
    for group in ("chosen", "later"):
        cars = whole[group, "car"]
        assert cars.median_percent is not None
        assert cars.median_percent <= 5.5
        assert cars.p90_percent is not None
        assert cars.p90_percent <= 14
        assert cars.within_sigma_percent is not None
        assert 60 <= cars.within_sigma_percent <= 76
    people = whole["all", "pedestrian"]
    assert people.median_percent is not None
    assert people.median_percent <= 5
    assert people.within_sigma_percent is not None
    assert 60 <= people.within_sigma_percent <= 76
    assert whole["all", "car"].naive_median_percent == pytest.approx(14.8, abs=0.5)


@pytest.mark.ci
def test_masks_of_lite_are_within_ten_per_cent(data_dir: Path) -> None:
    from roadmask import load_segmenter

    segmenter = load_segmenter("lite")
    folders = data_dir / "kitti_labelled", data_dir / "kitti_calibration", data_dir / "reference" / "kitti_box" / "gt"
    parts = [
        measure_frames(*read_frames(images, segmenter), kitti_camera(calibration), read_truth(gt)).pairs
        for _, images, calibration, gt in kitti_sequences(*folders)
    ]
    pairs = type(parts[0]).joined(parts)
    known = pairs[np.isfinite(pairs.metres)]
    assert len(known) >= 30
    assert np.median(np.abs(known.metres / known.truth - 1)) <= 0.10
    assert measure_pairs(pairs, "all", "pedestrian", visible=False).instances == (pairs.category == PEDESTRIAN).sum()
