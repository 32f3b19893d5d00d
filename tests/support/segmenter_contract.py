"""What every engine keeps to, and how two results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roadmask.engines import BoxMasks, Image, Instances, InstancesError, Segmenter, SegmenterInfo
from roadmask.engines.classes import PEDESTRIAN


def same_bytes(a: Instances, b: Instances) -> bool:
    assert a.masks is not None
    assert b.masks is not None
    return (
        a.image_size == b.image_size
        and a.boxes.tobytes() == b.boxes.tobytes()
        and a.scores.tobytes() == b.scores.tobytes()
        and a.category_ids.tobytes() == b.category_ids.tobytes()
        and a.masks.to_rle().counts == b.masks.to_rle().counts
    )


class SegmenterContract:
    """What every engine keeps to; a subclass offers the `segmenter`, which sees a person in the portrait."""

    def test_is_a_segmenter(self, segmenter: Segmenter) -> None:
        assert isinstance(segmenter, Segmenter)
        assert isinstance(segmenter.info, SegmenterInfo)
        assert segmenter.info.class_names[PEDESTRIAN] == "pedestrian"

    def test_finds_the_person(self, segmenter: Segmenter, portrait: Image) -> None:
        [found] = segmenter([portrait])
        assert found.image_size == portrait.shape[:2]
        assert found.category_ids[0] == PEDESTRIAN
        assert found.scores[0] > 0.5
        assert found.masks is not None
        [inside] = found[:1].masks.to_rle().dense()  # type: ignore[union-attr]
        height, width = portrait.shape[:2]
        assert inside[height // 2, width // 2], "the middle of the portrait is the person"
        assert not inside[:20, :20].any(), "the top left corner is background"
        assert 0.2 < inside.mean() < 0.9

    def test_best_first_and_inside_the_image(self, segmenter: Segmenter, portrait: Image) -> None:
        [found] = segmenter([portrait])
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= segmenter.info.score_min).all()
        assert set(found.category_ids.tolist()) <= set(segmenter.info.class_names)
        height, width = portrait.shape[:2]
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()

    def test_empty_batch(self, segmenter: Segmenter) -> None:
        assert segmenter([]) == []

    def test_result_does_not_depend_on_the_batch(self, segmenter: Segmenter, portrait: Image) -> None:
        images = [portrait, np.ascontiguousarray(portrait[:300, 100:]), np.ascontiguousarray(portrait[:, ::-1])]
        alone = [segmenter([image])[0] for image in images]
        together = segmenter(images)
        reversed_order = segmenter(images[::-1])[::-1]
        for one, other, third in zip(alone, together, reversed_order, strict=True):
            assert same_bytes(one, other)
            assert same_bytes(one, third)

    def test_result_is_the_callers_own(self, segmenter: Segmenter, portrait: Image) -> None:
        [found] = segmenter([portrait])
        boxes = found.boxes.copy()
        assert isinstance(found.masks, BoxMasks)
        probabilities = found.masks.probabilities.copy()
        segmenter([np.zeros_like(portrait)])
        assert np.array_equal(found.boxes, boxes)
        assert np.array_equal(found.masks.probabilities, probabilities)

    def test_read_only_and_strided_memory(self, segmenter: Segmenter, portrait: Image) -> None:
        [expected] = segmenter([portrait])
        read_only = portrait.copy()
        read_only.setflags(write=False)
        wide = np.repeat(portrait, 2, axis=1)[:, ::2]
        bgr = np.ascontiguousarray(portrait[:, :, ::-1])[:, :, ::-1]
        for found in segmenter([read_only, wide, bgr]):
            assert same_bytes(found, expected)

    @pytest.mark.parametrize(
        "image",
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
    def test_refuses_what_is_no_image(self, segmenter: Segmenter, image: Any) -> None:
        with pytest.raises(InstancesError, match="expected an image"):
            segmenter([image])

    @pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        [found] = segmenter([image])
        assert found.image_size == size

    def test_warm_up_changes_nothing(self, segmenter: Segmenter, portrait: Image) -> None:
        [before] = segmenter([portrait])
        segmenter.warm_up((portrait.shape[0], portrait.shape[1]))
        [after] = segmenter([portrait])
        assert same_bytes(before, after)
