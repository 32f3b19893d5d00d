"""Messages hold what is known of a frame, and say why something is not known."""

from __future__ import annotations

from dataclasses import fields
from math import isnan

import numpy as np
import pytest

from roadmask.engines.instances import Instances
from roadmask.geometry.distance.distances import DistanceReason, Distances
from roadmask.streaming.messages.convert import FrameAccount, FrameResult, instance_array
from roadmask.streaming.messages.fields import PATH_NO, PATH_UNKNOWN, PATH_YES, InstanceArray, RangeReason


def message(distances: Distances | None) -> InstanceArray:
    count = 3
    boxes = np.array([[0, 0, 10, 10]] * count, np.float32)
    seen = Instances((40, 60), boxes, np.ones(count, np.float32), np.full(count, 3, np.int64))
    ids, states = np.arange(1, 4), np.ones(count, np.uint8)
    result = FrameResult("front", 7, 1_000, 0, seen, ids, states, np.zeros(count, np.int64), distances=distances)
    return instance_array(result, FrameAccount(stored=1), {3: "car"}, frame_id="front_optical")


def test_distances_are_written_with_their_sigmas_and_reasons() -> None:
    reasons = np.array([DistanceReason.KNOWN, DistanceReason.CUT, DistanceReason.OUTSIDE_LENS], np.uint8)
    found = Distances.unknown(reasons)
    for value, each in enumerate(fields(Distances), start=1):
        if each.name not in ("in_path", "reasons"):
            getattr(found, each.name)[0] = value
    found.in_path[:] = [1, 0, -1]
    first, second, third = message(found).instances
    expected = {"metres": "distance", "metres_sigma": "distance_sigma"}
    for value, each in enumerate(fields(Distances), start=1):
        if each.name not in ("in_path", "reasons"):
            assert getattr(first, expected.get(each.name, each.name)) == pytest.approx(value)
    assert (first.range_reason, first.in_path) == (RangeReason.KNOWN, PATH_YES)
    assert (second.range_reason, second.in_path) == (RangeReason.CUT, PATH_NO)
    assert (third.range_reason, third.in_path) == (RangeReason.NOT_ESTIMATED, PATH_UNKNOWN)
    assert isnan(second.distance)


def test_without_a_calibration_no_distance_was_estimated() -> None:
    (first, *_) = message(None).instances
    assert (first.range_reason, first.in_path) == (RangeReason.NOT_ESTIMATED, PATH_UNKNOWN)
    assert isnan(first.distance)
