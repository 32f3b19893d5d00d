"""Overlap, assignment and motion, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from roadmask.tracking.iou.association import associate, box_iou
from roadmask.tracking.iou.motion import shifted, smooth_velocity

UNIT = [0.0, 0.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([0, 0, 10, 10], 1.0),  # the same box
        ([5, 0, 15, 10], 1 / 3),  # half of it shared
        ([2, 2, 4, 4], 0.04),  # one inside the other
        ([10, 0, 20, 10], 0.0),  # touching at an edge
        ([10, 10, 20, 20], 0.0),  # touching at a corner
        ([50, 50, 60, 60], 0.0),  # far away
        ([5, 5, 5, 5], 0.0),  # a point inside
        ([-5, -5, 5, 5], 25 / 175),  # half outside the image
    ],
)
def test_box_iou(other: list[float], expected: float) -> None:
    assert box_iou(np.array([UNIT]), np.array([other], np.float64))[0, 0] == pytest.approx(expected)
    assert box_iou(np.array([other], np.float64), np.array([UNIT]))[0, 0] == pytest.approx(expected)


def test_box_iou_of_two_points_is_no_overlap() -> None:
    point = np.array([[5.0, 5, 5, 5]])
    assert box_iou(point, point).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("overlap", "pairs"),
    [
        ([[0.9, 0.1], [0.1, 0.9]], [(0, 0), (1, 1)]),  # obvious
        ([[0.6, 0.5], [0.5, 0.0]], [(0, 1), (1, 0)]),  # the sum beats the best single pair
        ([[0.9, 0.2], [0.8, 0.0]], [(0, 1), (1, 0)]),
        ([[0.05, 0.04]], []),  # below the gate
        ([[0.3, 0.3]], [(0, 0)]),  # a tie goes to the first
        ([[0.9, 0.09], [0.9, 0.0]], [(0, 0)]),  # a pair below the gate does not help the sum
        (np.zeros((0, 3)), []),  # no tracks
        (np.zeros((3, 0)), []),  # no instances
    ],
)
def test_associate(overlap: list[list[float]], pairs: list[tuple[int, int]]) -> None:
    matrix = np.array(overlap, np.float64)
    rows, columns = (np.arange(n) for n in matrix.shape)
    tracks, instances = associate(matrix, rows, columns, 0.1)
    assert list(zip(tracks.tolist(), instances.tolist(), strict=True)) == pairs


def test_associate_keeps_to_the_rows_that_take_part() -> None:
    tracks, instances = associate(np.full((3, 3), 0.9), np.array([1]), np.array([2]), 0.1)
    assert (tracks.tolist(), instances.tolist()) == ([1], [2])


def test_shifted_boxes_keep_their_sizes() -> None:
    moved = shifted(np.array([UNIT, UNIT]), np.array([[10.0, -2], [0, 0]]))
    assert moved.tolist() == [[10, -2, 20, 8], UNIT]


def test_velocity_is_smoothed_by_time_not_by_frames() -> None:
    """A step from 0 to 30 px/s looks the same after 0.6 s, whether in 3 or in 30 measurements."""
    for frames in (3, 30):
        velocity = np.zeros((1, 2))
        for _ in range(frames):
            velocity = smooth_velocity(velocity, np.full((1, 2), 30.0), np.array([0.6 / frames]), np.array([2]), 0.4)
        np.testing.assert_allclose(velocity, 30 * (1 - np.exp(-0.6 / 0.4)), rtol=1e-9)


@pytest.mark.parametrize(
    ("hits", "time_constant_s", "expected"),
    [
        (1, 0.4, 30.0),  # the first measurement is taken whole
        (2, 0.0, 30.0),  # no smoothing
        (2, 1e9, 0.0),  # hardly believed
    ],
)
def test_smoothing_at_its_ends(hits: int, time_constant_s: float, expected: float) -> None:
    blended = smooth_velocity(
        np.zeros((1, 2)), np.full((1, 2), 30.0), np.array([0.1]), np.array([hits]), time_constant_s
    )
    np.testing.assert_allclose(blended, expected, atol=1e-6)
