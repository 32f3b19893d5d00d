"""Distances: exact scenes of boxes on a flat road, reasons, motion, and what happens to a wrong pitch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines import Instances, RleMasks
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import CalibrationError, ConfigError
from roadmask.geometry import Calibration
from roadmask.geometry.distance.config import CLASS_GEOMETRY, DistanceConfig
from roadmask.geometry.distance.distances import DistanceReason, Distances
from roadmask.geometry.distance.estimator import DistanceEstimator

SIZE = (480, 640)
FOCAL, HEIGHT = 1000.0, 1.5
CAMERA = Calibration((FOCAL, FOCAL), (319.5, 199.5), image_size=SIZE, height=HEIGHT, pitch=0.0)
PERIOD_NS = 100_000_000

Object = tuple[float, float, float, float, int]
"""Depth and lateral offset of the place where it stands, height and width in metres, and its class."""


def car(depth: float, lateral: float = 0.0) -> Object:
    return depth, lateral, CLASS_GEOMETRY[CAR].height, 1.8, CAR


def scene(*objects: Object, pitch: float = 0.0) -> Instances:
    """Masks of upright rectangles as a camera sees them that looks down by `pitch`; nearer ones hide others."""
    horizon = 199.5 - FOCAL * math.tan(pitch)
    dense = np.zeros((len(objects), *SIZE), np.bool_)
    for n in np.argsort([-depth for depth, *_ in objects]):
        depth, lateral, height, width, _ = objects[n]
        scale = FOCAL / depth
        bottom = round(horizon + HEIGHT * scale + 1)
        top = round(bottom - height * scale)
        left = round(319.5 + (lateral - width / 2) * scale)
        right = round(319.5 + (lateral + width / 2) * scale)
        inside = np.zeros(SIZE, np.bool_)
        inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        dense &= ~inside
        dense[n] = inside
    masks = RleMasks.from_dense(dense)
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (len(objects), 1))
    classes = np.array([each[-1] for each in objects], np.int64)
    return Instances(SIZE, boxes, np.ones(len(objects), np.float32), classes, masks)


def ids(count: int) -> NDArray[np.int64]:
    return np.arange(1, count + 1)


def ahead(depth: float, category: int = CAR) -> float:
    """Distance to the nearest part of an object that stands at a depth."""
    return depth - CLASS_GEOMETRY[category].setback


def test_distance_lateral_and_path_of_cars_on_a_flat_road() -> None:
    found = DistanceEstimator(CAMERA)(scene(car(12, -2.5), car(20, 0.3), car(35, 4.0)), ids(3), 0)
    np.testing.assert_allclose(found.metres, [ahead(12), ahead(20), ahead(35)], rtol=0.03)
    np.testing.assert_allclose(found.lateral, [-2.5, 0.3, 4.0], atol=0.1)
    assert found.in_path.tolist() == [0, 1, 0]
    assert (found.metres_sigma > 0).all()
    assert (found.metres_sigma < 0.15 * found.metres).all()
    assert found.reasons.tolist() == [0, 0, 0]
    assert np.isnan(found.closing_speed).all()  # one frame shows no speed


def test_the_camera_may_look_down_and_lean_and_have_a_lens() -> None:
    pitch = math.radians(4)
    looking_down = CAMERA.with_mounting(pitch=pitch)
    found = DistanceEstimator(looking_down)(scene(car(20), car(30, 4), pitch=pitch), ids(2), 0)
    np.testing.assert_allclose(found.metres, [ahead(20), ahead(30)], rtol=0.04)
    bent = Calibration((FOCAL, FOCAL), (319.5, 199.5), "plumb_bob", (0.02, 0, 0, 0, 0), SIZE, height=HEIGHT, pitch=0.0)
    found = DistanceEstimator(bent)(scene(car(20)), ids(1), 0)
    np.testing.assert_allclose(found.metres, [ahead(20)], rtol=0.04)


def test_without_a_height_the_size_alone_is_used() -> None:
    estimator = DistanceEstimator(Calibration((FOCAL, FOCAL), (319.5, 199.5)))
    assert "--camera-height" in (estimator.ground_plane_off or "")
    found = estimator(scene(car(20), (20, 4, 1.2, 1.8, CAR)), ids(2), 0)
    low = 20 * CLASS_GEOMETRY[CAR].height / 1.2  # seems farther
    np.testing.assert_allclose(found.metres, [ahead(20), ahead(low)], rtol=0.03)
    assert DistanceEstimator(CAMERA).ground_plane_off is None


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        # the lower border cuts it
        ((car(5.0),), DistanceReason.CUT),
        # the left border cuts it
        ((car(20, -6.2),), DistanceReason.CUT),
        # a nearer car stands before its foot
        (((30, 0.3, 2.6, 1.8, CAR), car(20)), DistanceReason.HIDDEN_FOOT),
        # the size of stop signs is not known
        (((20.0, 0.0, 1.0, 1.0, 13),), DistanceReason.NO_SIZE),
    ],
)
def test_a_distance_that_is_not_known_has_a_reason(objects: tuple[Object, ...], reason: DistanceReason) -> None:
    found = DistanceEstimator(CAMERA)(scene(*objects), ids(len(objects)), 0)
    assert found.reasons[0] == reason
    assert found.record(0)["metres"] is None
    assert found.record(0)["in_path"] is None
    assert found.record(0)["reason"] == reason.words


def test_what_ends_above_the_horizon_stands_on_no_road() -> None:
    dense = np.zeros((1, *SIZE), np.bool_)
    dense[0, 100:150, 300:340] = True
    like = scene(car(20))
    poster = Instances(SIZE, like.boxes, like.scores, like.category_ids, RleMasks.from_dense(dense))
    found = DistanceEstimator(CAMERA)(poster, ids(1), 0)
    assert found.reasons.tolist() == [DistanceReason.ABOVE_HORIZON]
    assert np.isnan(found.metres).all()


def test_boxes_alone_empty_masks_and_empty_frames_have_no_distance() -> None:
    estimator = DistanceEstimator(CAMERA)
    one = scene(car(20))
    boxes = Instances(SIZE, one.boxes, one.scores, one.category_ids)
    assert estimator(boxes, ids(1), 0).reasons.tolist() == [DistanceReason.NO_SIZE]
    empty = Instances(SIZE, one.boxes, one.scores, one.category_ids, RleMasks.from_dense(np.zeros((1, *SIZE))))
    assert estimator(empty, ids(1), 1).reasons.tolist() == [DistanceReason.CUT]
    assert len(estimator(Instances.empty(SIZE), ids(0), 2)) == 0


def approach(estimator: DistanceEstimator, frames: range, pitch: float = 0.0) -> list[Distances]:
    """A car that comes nearer at 5 m/s from 40 m, one that stands, and a pedestrian."""
    found = []
    for n in frames:
        objects = car(40 - 0.5 * n, -3), car(25, 4), (18.0, 1.0, CLASS_GEOMETRY[PEDESTRIAN].height, 0.6, PEDESTRIAN)
        found.append(estimator(scene(*objects, pitch=pitch), ids(3), n * PERIOD_NS))
    return found


def test_closing_speed_and_time_to_contact_with_their_sigmas() -> None:
    last = approach(DistanceEstimator(CAMERA), range(30))[-1]
    assert last.closing_speed[0] == pytest.approx(5, abs=0.8)
    assert abs(last.closing_speed[0] - 5) < 3 * last.closing_speed_sigma[0]
    assert last.time_to_contact[0] == pytest.approx(ahead(40 - 14.5) / 5, rel=0.2)
    assert last.time_to_contact_sigma[0] > 0
    assert last.closing_speed[1] == pytest.approx(0, abs=0.8)
    assert np.isnan(last.time_to_contact[1])  # its rate does not exceed the noise


@pytest.mark.parametrize("degrees", [1, -1])
def test_a_pitch_that_is_wrong_by_one_degree_is_flagged_and_overcome(degrees: int) -> None:
    estimator = DistanceEstimator(CAMERA)
    found = approach(estimator, range(60), pitch=math.radians(degrees))
    assert ("further down" if degrees > 0 else "further up") in (estimator.pitch_doubt or "")
    assert math.degrees(estimator.pitch_error[0]) == pytest.approx(degrees, abs=0.35)
    np.testing.assert_allclose(found[-1].metres[1], ahead(25), rtol=0.06)


def test_a_pitch_that_is_right_is_not_flagged() -> None:
    estimator = DistanceEstimator(CAMERA)
    approach(estimator, range(60))
    assert estimator.pitch_doubt is None


def test_a_pitch_that_is_not_stated_cannot_be_wrong() -> None:
    unknown = Calibration((FOCAL, FOCAL), (319.5, 199.5), image_size=SIZE, height=HEIGHT)
    estimator = DistanceEstimator(unknown)
    found = approach(estimator, range(60), pitch=math.radians(1))
    assert estimator.pitch_doubt is None
    np.testing.assert_allclose(found[-1].metres[1], ahead(25), rtol=0.06)


def test_a_restored_estimator_continues_equally() -> None:
    whole = DistanceEstimator(CAMERA)
    expected = approach(whole, range(12))[6:]
    first, second = DistanceEstimator(CAMERA), DistanceEstimator(CAMERA)
    approach(first, range(6))
    second.restore(first.to_arrays())
    for one, two in zip(approach(second, range(6, 12)), expected, strict=True):
        for name, values in vars(one).items():
            np.testing.assert_array_equal(values, getattr(two, name), err_msg=name)


def test_tracks_that_are_gone_are_forgotten() -> None:
    estimator = DistanceEstimator(CAMERA)
    for n in range(300):
        estimator(scene(car(20)), np.array([n + 1]), n * PERIOD_NS)
    assert len(estimator.to_arrays()["state"]) < 30
    assert len(estimator.to_arrays()["motion"]) < 80


def test_images_of_another_shape_are_refused() -> None:
    estimator = DistanceEstimator(Calibration((FOCAL, FOCAL), (319.5, 199.5), image_size=(720, 1280)))
    with pytest.raises(CalibrationError, match="cropped"):
        estimator(scene(car(20)), ids(1), 0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="path_half_width above 0"):
        DistanceConfig(path_half_width=0)


def test_indexing_selects_instances() -> None:
    found = DistanceEstimator(CAMERA)(scene(car(12, -2.5), car(20, 0.3)), ids(2), 0)
    assert found[np.array([1])].metres.tolist() == [found.metres[1]]
