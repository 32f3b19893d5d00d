"""What every engine must do."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from roadmask.engines import BoxMasks, Image, Instances, InstancesError, Segmenter, SegmenterInfo
from roadmask.sample_drive import SampleDrive


def same_bytes(one: Instances, other: Instances) -> bool:
    """Returns whether two results are equal to the last bit."""
    return (
        one.image_size == other.image_size
        and one.boxes.tobytes() == other.boxes.tobytes()
        and one.scores.tobytes() == other.scores.tobytes()
        and one.category_ids.tobytes() == other.category_ids.tobytes()
        and _run_lengths(one) == _run_lengths(other)
    )


def _run_lengths(instances: Instances) -> tuple[bytes, ...] | None:
    return None if instances.masks is None else instances.masks.to_rle().counts


@cache
def _street() -> Image:
    return SampleDrive().render(120)


class SegmenterContract:
    """The tests of a segmenter.

    A subclass provides the fixture `segmenter`, which may have any scope. It may replace the fixture `image`, a street
    with pedestrians and cars, by another uint8 (H, W, 3) RGB image of at least 320 x 320 pixels in which the segmenter
    finds something.
    """

    @pytest.fixture
    def segmenter(self) -> Segmenter:
        """The segmenter under test."""
        raise NotImplementedError("provide the fixture 'segmenter' in the subclass of SegmenterContract")

    @pytest.fixture
    def image(self) -> Image:
        """An image in which the segmenter finds something."""
        return _street()

    def test_is_a_segmenter(self, segmenter: Segmenter) -> None:
        """It has the methods of the protocol and says what it is made of."""
        assert isinstance(segmenter, Segmenter)
        assert isinstance(segmenter.info, SegmenterInfo)
        assert segmenter.info.class_names
        assert all(isinstance(number, int) for number in segmenter.info.class_names)
        assert 0 <= segmenter.info.score_min <= 1

    def test_best_first_and_inside_the_image(self, segmenter: Segmenter, image: Image) -> None:
        """Scores fall, none is below `score_min`, classes are among those of `info`, boxes lie in the image."""
        [found] = segmenter([image])
        height, width = image.shape[:2]
        assert found.image_size == (height, width)
        assert len(found), "the segmenter found nothing: replace the fixture 'image' by one in which it finds something"
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= segmenter.info.score_min).all()
        assert set(found.category_ids.tolist()) <= set(segmenter.info.class_names)
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()

    def test_empty_batch(self, segmenter: Segmenter) -> None:
        """No images give no results."""
        assert segmenter([]) == []

    def test_result_does_not_depend_on_the_batch(self, segmenter: Segmenter, image: Image) -> None:
        """An image gives the same bytes alone, among others, and at another place in the batch."""
        images = [image, np.ascontiguousarray(image[:300, 100:]), np.ascontiguousarray(image[:, ::-1])]
        alone = [segmenter([each])[0] for each in images]
        together = segmenter(images)
        reversed_order = segmenter(images[::-1])[::-1]
        for one, other, third in zip(alone, together, reversed_order, strict=True):
            assert same_bytes(one, other)
            assert same_bytes(one, third)

    def test_result_is_the_callers_own(self, segmenter: Segmenter, image: Image) -> None:
        """A later call does not change an earlier result, whose buffers the engine may not reuse."""
        [found] = segmenter([image])
        boxes, scores = found.boxes.copy(), found.scores.copy()
        probabilities = found.masks.probabilities.copy() if isinstance(found.masks, BoxMasks) else None
        segmenter([np.zeros_like(image)])
        assert np.array_equal(found.boxes, boxes)
        assert np.array_equal(found.scores, scores)
        if isinstance(found.masks, BoxMasks) and probabilities is not None:
            assert np.array_equal(found.masks.probabilities, probabilities)

    def test_read_only_and_strided_memory(self, segmenter: Segmenter, image: Image) -> None:
        """How an image lies in memory makes no difference."""
        [expected] = segmenter([image])
        read_only = image.copy()
        read_only.setflags(write=False)
        wide = np.repeat(image, 2, axis=1)[:, ::2]
        bgr = np.ascontiguousarray(image[:, :, ::-1])[:, :, ::-1]
        for found in segmenter([read_only, wide, bgr]):
            assert same_bytes(found, expected)

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
            [[0, 0, 0]],
            None,
        ],
        ids=["float", "grey", "alpha", "no rows", "list", "none"],
    )
    def test_refuses_what_is_not_an_image(self, segmenter: Segmenter, wrong: Any) -> None:
        """`roadmask.extend.checked_image` raises this error."""
        with pytest.raises(InstancesError, match="expected an image"):
            segmenter([wrong])

    @pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        """Images of every size and aspect are segmented."""
        noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        [found] = segmenter([noise])
        assert found.image_size == size

    def test_warm_up_changes_nothing(self, segmenter: Segmenter, image: Image) -> None:
        """A result is the same before and after `warm_up`."""
        [before] = segmenter([image])
        segmenter.warm_up((image.shape[0], image.shape[1]))
        [after] = segmenter([image])
        assert same_bytes(before, after)
