"""Instances are carried with the image, and only as far as the image can be followed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks
from roadmask.tracking.propagation import GapFiller, MaskPropagator
from roadmask.tracking.propagation.flow import FlowEstimator, FlowImage
from roadmask.tracking.propagation.gap import fill_gap

SIZE = (180, 320)
Image = NDArray[np.uint8]


def texture(height: int, width: int, seed: int) -> Image:
    """A picture that flow can follow: smooth random blobs."""
    import cv2

    noise = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


BACKGROUND, OBJECT = texture(*SIZE, 1), texture(60, 80, 2)


def scene(x: float, y: float, zoom: float = 1.0, *, background: Image = BACKGROUND) -> Image:
    """The object with its top left corner at x, y, in front of a background that stands still."""
    import cv2

    image = background.copy()
    matrix = np.array([[zoom, 0, x], [0, zoom, y]], np.float64)
    cv2.warpAffine(OBJECT, matrix, SIZE[::-1], image, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return image


def found(*boxes: tuple[float, float, float, float], scores: float = 0.9) -> Instances:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(array)
    masks = BoxMasks(np.ones((count, 28, 28), np.float32), array, SIZE)
    return Instances(SIZE, array, np.full(count, scores, np.float32), np.full(count, 3, np.int64), masks)


def at(x: float, y: float) -> tuple[float, float, float, float]:
    return (x, y, x + 80, y + 60)


def test_an_instance_follows_the_object() -> None:
    propagator = MaskPropagator()
    propagator.step(scene(40, 50), found(at(40, 50)))
    for step in range(1, 9):
        instances = propagator.step(scene(40 + 4 * step, 50 + step))
        assert propagator.steps_since_detection == step
        np.testing.assert_allclose(instances.boxes, [at(40 + 4 * step, 50 + step)], atol=2.5)
        assert instances.masks is not None
        assert instances.masks.area[0] == pytest.approx(80 * 60, rel=0.1)


def test_a_late_detection_arrives_where_the_object_is_now() -> None:
    propagator = MaskPropagator()
    for step in range(6):
        assert len(propagator.step(scene(40 + 4 * step, 50))) == 0
    instances = propagator.step(scene(64, 50), found(at(48, 50)), position=2)
    np.testing.assert_allclose(instances.boxes, [at(64, 50)], atol=2.5)
    assert propagator.steps_since_detection == 4


def test_an_older_detection_does_not_replace_a_newer_one() -> None:
    propagator = MaskPropagator()
    for step in range(4):
        propagator.step(scene(40 + 4 * step, 50))
    propagator.step(scene(56, 50), found(at(52, 50)), position=3)
    propagator.step(scene(60, 50), found(at(40, 50), at(200, 50)), position=0)
    assert propagator.steps_since_detection == 2


def test_an_approaching_object_grows() -> None:
    propagator = MaskPropagator()
    propagator.step(scene(80, 50), found(at(80, 50)))
    for step in range(1, 7):
        zoom = 1.02**step
        instances = propagator.step(scene(120 - 40 * zoom, 80 - 30 * zoom, zoom))
    width = instances.boxes[0, 2] - instances.boxes[0, 0]
    assert width == pytest.approx(80 * 1.02**6, rel=0.03)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("another scene", texture(*SIZE, 9)),
        ("darkness", np.zeros((*SIZE, 3), np.uint8)),
        ("fog", np.full((*SIZE, 3), 200, np.uint8)),
        ("a flash", np.clip(scene(44, 50).astype(np.int16) + 120, 0, 255).astype(np.uint8)),
        ("another size", texture(200, 320, 1)),
    ],
)
def test_nothing_is_carried_across_what_cannot_be_followed(name: str, image: Image) -> None:
    propagator = MaskPropagator()
    propagator.step(scene(40, 50), found(at(40, 50)))
    assert len(propagator.step(image)) == 0, name
    assert propagator.steps_since_detection is None
    # a detection of before the break that arrives late is not carried across it either
    assert len(propagator.step(image, found(at(40, 50)), position=0)) == 0


def test_a_frozen_camera_keeps_its_masks_where_they_are() -> None:
    propagator = MaskPropagator()
    propagator.step(scene(40, 50), found(at(40, 50)))
    np.testing.assert_allclose(propagator.step(scene(40, 50)).boxes, [at(40, 50)], atol=0.3)


def test_an_object_that_is_covered_is_not_carried_on() -> None:
    propagator = MaskPropagator()
    propagator.step(scene(40, 50), found(at(40, 50)))
    assert len(propagator.step(BACKGROUND)) == 0


def test_a_detection_ages_out_and_memory_is_bounded() -> None:
    propagator = MaskPropagator(steps_max=3)
    propagator.step(scene(40, 50), found(at(40, 50)))
    counts = [len(propagator.step(scene(40, 50))) for _ in range(5)]
    assert counts == [1, 1, 1, 0, 0]
    assert propagator.nbytes <= 3 * (9 * SIZE[0] * SIZE[1]) + SIZE[0] * SIZE[1]


def test_two_hundred_instances_and_none() -> None:
    generator = np.random.default_rng(4)
    corners = generator.uniform((0, 0), (300, 160), (200, 2))
    many = found(*(tuple(np.concatenate([each, each + 15])) for each in corners))
    propagator = MaskPropagator()
    propagator.step(BACKGROUND, many)
    carried = propagator.step(BACKGROUND)
    assert len(carried) == 200
    np.testing.assert_allclose(carried.boxes, many.boxes, atol=0.5)
    assert len(propagator.step(BACKGROUND, Instances.empty(SIZE))) == 0
    assert len(propagator.step(BACKGROUND)) == 0


def test_the_same_images_give_the_same_bytes() -> None:
    def boxes() -> bytes:
        propagator = MaskPropagator()
        propagator.step(scene(40, 50), found(at(40, 50)))
        return b"".join(propagator.step(scene(40 + 3 * step, 50)).boxes.tobytes() for step in range(1, 5))

    assert boxes() == boxes()


def test_a_position_in_the_future_is_refused() -> None:
    with pytest.raises(InputError, match="at most 0, got 1"):
        MaskPropagator().step(BACKGROUND, found(at(40, 50)), position=1)


class TestGap:
    """Frames between two detections of a recorded drive."""

    def filled(self, first: Instances, second: Instances, xs: list[float]) -> list[Instances]:
        small = [FlowImage.of(scene(x, 50)) for x in xs]
        estimate = FlowEstimator()
        forward = [estimate(one, other) for one, other in pairwise(small)]
        backward = [estimate(other, one) for one, other in pairwise(small)]
        return fill_gap(first, second, forward, backward, [10 * n for n in range(len(xs))], 0.5)

    def test_an_object_seen_twice_is_in_every_frame_between(self) -> None:
        between = self.filled(found(at(40, 50)), found(at(52, 50)), [40, 44, 48, 52])
        assert [len(each) for each in between] == [1, 1]
        np.testing.assert_allclose([each.boxes[0] for each in between], [at(44, 50), at(48, 50)], atol=1.5)
        assert [each.since_detected_ns.tolist() for each in between if each.since_detected_ns is not None] == [
            [10],
            [10],
        ]

    def test_a_weak_second_opinion_is_enough_but_two_weak_ones_are_not(self) -> None:
        weak = found(at(52, 50), scores=0.3)
        assert [len(each) for each in self.filled(found(at(40, 50)), weak, [40, 44, 48, 52])] == [1, 1]
        both = self.filled(found(at(40, 50), scores=0.3), weak, [40, 44, 48, 52])
        assert [len(each) for each in both] == [0, 0]

    def test_what_one_detection_alone_found_lives_for_half_of_the_gap(self) -> None:
        xs = [40.0, 44, 48, 52, 56]
        nothing = found()
        came = self.filled(nothing, found(at(56, 50)), xs)
        went = self.filled(found(at(40, 50)), nothing, xs)
        assert (len(came[0]), len(came[2])) == (0, 1)
        assert (len(went[0]), len(went[2])) == (1, 0)

    def test_nothing_crosses_a_cut(self) -> None:
        before, after = FlowImage.of(scene(40, 50)), FlowImage.of(texture(*SIZE, 9))
        estimate = FlowEstimator()
        cut = [estimate(before, after), estimate(after, after)]
        back = [estimate(after, before), estimate(after, after)]
        (between,) = fill_gap(found(at(40, 50)), found(at(40, 50), at(200, 90)), cut, back, [0, 10, 20], 0.5)
        assert cut[0] is None
        assert len(between) == 2  # of the second detection alone, which the frame between belongs to

    def test_run_lengths_and_grids_of_probabilities_mix(self) -> None:
        grids = found(at(40, 50))
        lengths = replace(grids, masks=grids.masks.to_rle())  # type: ignore[union-attr]
        for ends in ((grids, lengths), (lengths, grids), (lengths, lengths), (grids, Instances.empty(SIZE))):
            between = self.filled(*ends, [40.0, 40, 40, 40])
            assert [len(each.masks or ()) for each in between] == [1, 1 if len(ends[1]) else 0]


class TestGapFiller:
    """The frames of a drive, one at a time."""

    def run(self, detected: dict[int, Instances], frames: int = 10) -> list[tuple[int, Instances | None]]:
        filler: GapFiller[int] = GapFiller(0.5)
        ready = []
        for n in range(frames):
            ready += filler.push(n, scene(40 + 2 * n, 50), n * 10, detected.get(n))
        assert len(filler) == frames - 1 - max(detected, default=-1)
        return ready + filler.flush()

    def test_frames_come_back_in_their_order_with_instances_of_their_moment(self) -> None:
        ready = self.run({n: found(at(40 + 2 * n, 50)) for n in (0, 3, 6)}, 9)
        assert [n for n, _ in ready] == list(range(9))
        instances = [each for _, each in ready if each is not None]
        np.testing.assert_allclose(
            [each.boxes[0] for each in instances], [at(40 + 2 * n, 50) for n in range(9)], atol=2
        )
        ages = [each.since_detected_ns.tolist() for each in instances if each.since_detected_ns is not None]
        assert ages == [[0], [10], [10], [0], [10], [10], [0], [10], [20]]

    def test_frames_before_the_first_detection_and_without_any(self) -> None:
        ready = self.run({2: found(at(44, 50))}, 4)
        assert [len(each) for _, each in ready if each is not None] == [1, 1, 1, 1]
        assert [len(each) for _, each in self.run({}, 3) if each is not None] == [0, 0, 0]
        assert self.run({}, 0) == []

    def test_weak_instances_are_not_returned(self) -> None:
        weak = found(at(40, 50), at(200, 100), scores=0.3)
        ready = self.run({0: weak, 3: found(at(46, 50))}, 5)
        assert [len(each) for _, each in ready if each is not None] == [0, 1, 1, 1, 1]

    def test_lost_frames_keep_their_place(self) -> None:
        filler: GapFiller[str] = GapFiller(0.5)
        assert filler.push_lost("before") == [("before", None)]
        assert [item for item, _ in filler.push("first", scene(40, 50), 0, found(at(40, 50)))] == ["first"]
        assert filler.push_lost("after it") == [("after it", None)]
        assert filler.push("second", scene(40, 50), 1, None) == []
        assert filler.push_lost("in a gap") == []
        ready = filler.push("third", scene(40, 50), 2, found(at(40, 50)))
        assert [(item, None if each is None else len(each)) for item, each in ready] == [
            ("second", 1),
            ("in a gap", None),
            ("third", 1),
        ]

    def test_nothing_is_carried_past_a_flush(self) -> None:
        filler: GapFiller[int] = GapFiller(0.5)
        filler.push(0, scene(40, 50), 0, found(at(40, 50)))
        filler.flush()
        filler.push(1, scene(40, 50), 0, None)
        assert [len(each) for _, each in filler.flush() if each is not None] == [0]
