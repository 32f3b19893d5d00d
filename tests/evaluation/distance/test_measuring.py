"""`roadmask eval distance`: made-up sequences from files to records, and the bars on real ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines import RleMasks
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
from roadmask.sample_drive import SampleDrive


def made_up(folder: Path, name: str, depth: float) -> None:
    """Writes a sequence of two frames with one car whose rear is `depth` m ahead."""
    for part in ("masks", "calibration", "gt"):
        (folder / part).mkdir(exist_ok=True)
    mask = np.zeros((1, 375, 1242), np.uint8)
    top, bottom = (round(172.85 + 721.5 * (1.65 - height) / (depth + 0.65)) for height in (1.54, 0))
    mask[0, top : bottom + 1, 600:660] = 1
    counts = RleMasks.from_dense(mask).counts[0].decode()
    rows = [f"{frame} 1001 1 375 1242 {counts}" for frame in range(2)]
    (folder / "masks" / f"{name}.txt").write_text("\n".join(rows) + "\n")
    (folder / "calibration" / f"{name}.txt").write_text("P2: 721.5 0 609.6 0 0 721.5 172.85 0 0 0 1 0\n")
    # 4 m long, seen from behind: its middle is 2 m beyond its rear
    label = f"Car 0 0 0 600 {top} 660 {bottom + 1} 1.54 1.8 4.0 0.3 1.65 {depth + 2} {-math.pi / 2}"
    (folder / "gt" / f"{name}.txt").write_text("".join(f"{frame} 1 {label}\n" for frame in range(2)))


def test_the_command_measures_groups_apart_and_writes_records(roadmask_cli, tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    made_up(tmp_path, "0014", 30.0)
    folders = [word for part in ("masks", "calibration", "gt") for word in (f"--{part}", tmp_path / part)]
    out = tmp_path / "out.json"
    code, printed = roadmask_cli("eval", "distance", *folders, "--json", out, "--median-max", "car=5")
    assert code == 0, printed
    records = json.loads(out.read_text())["results"]
    whole = {each["sequences"]: each for each in records if each["visible"] and each["farthest"] == 80.0}
    assert {name: each["instances"] for name, each in whole.items()} == {
        "chosen": 2,
        "later": 2,
        "all": 4,
        "0001": 2,
        "0014": 2,
    }
    assert whole["all"]["median_percent"] < 5
    assert whole["chosen"]["naive_median_percent"] == pytest.approx(100 * 0.65 / 15, abs=2)
    code, printed = roadmask_cli("eval", "distance", *folders, "--median-max", "car=0.001")
    assert code == 1
    assert "limit missed" in printed


def test_folders_without_a_common_sequence_are_refused(roadmask_cli, tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    (tmp_path / "gt" / "0001.txt").rename(tmp_path / "gt" / "0002.txt")
    folders = [word for part in ("masks", "calibration", "gt") for word in (f"--{part}", tmp_path / part)]
    code, printed = roadmask_cli("eval", "distance", *folders)
    assert code == 2
    assert "found none in all three" in printed


def test_labels_give_the_nearest_corner(tmp_path: Path) -> None:
    made_up(tmp_path, "0001", 15.0)
    objects = read_truth(tmp_path / "gt" / "0001.txt")[0]
    assert objects.metres[0] == pytest.approx(15)
    assert objects.lateral[0] == pytest.approx(0.3)


@pytest.fixture(scope="module")
def sample() -> tuple[SampleDrive, MeasuredSequence]:
    drive = SampleDrive()
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
    assert len(seen) > 1000
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
