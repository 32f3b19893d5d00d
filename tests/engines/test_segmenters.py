"""One contract for every segmenter, and what each adds to it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from roadmask.engines import (
    BoxMasks,
    EngineError,
    Image,
    Instances,
    InstancesError,
    ScriptedSegmenter,
    Segmenter,
    SegmenterInfo,
)
from roadmask.engines.classes import LITE_CATEGORY_IDS, PEDESTRIAN
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.openvino_engine import OpenVinoSegmenter
from roadmask.engines.torch_engine import TorchSegmenter
from roadmask.engines.weights import LITE_SHA256, Weights

SHAPE = (192, 160)


def same_bytes(a: Instances, b: Instances) -> bool:
    assert a.masks is not None
    assert b.masks is not None
    return (
        a.image_size == b.image_size
        and a.boxes.tobytes() == b.boxes.tobytes()
        and a.scores.tobytes() == b.scores.tobytes()
        and a.labels.tobytes() == b.labels.tobytes()
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
        assert found.labels[0] == PEDESTRIAN
        assert found.scores[0] > 0.5
        assert found.masks is not None
        [inside] = found[:1].masks.to_rle().dense()  # type: ignore[union-attr]
        height, width = portrait.shape[:2]
        assert inside[height // 2, width // 2], "the middle of the portrait is the person"
        assert not inside[:20, :20].any(), "the top left corner is background"
        assert 0.2 < inside.mean() < 0.9

    def test_best_first_and_inside_the_picture(self, segmenter: Segmenter, portrait: Image) -> None:
        [found] = segmenter([portrait])
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= segmenter.info.score_min).all()
        assert set(found.labels.tolist()) <= set(segmenter.info.class_names)
        height, width = portrait.shape[:2]
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()

    def test_empty_batch(self, segmenter: Segmenter) -> None:
        assert segmenter([]) == []

    def test_result_does_not_depend_on_the_batch(self, segmenter: Segmenter, portrait: Image) -> None:
        pictures = [portrait, np.ascontiguousarray(portrait[:300, 100:]), np.ascontiguousarray(portrait[:, ::-1])]
        alone = [segmenter([picture])[0] for picture in pictures]
        together = segmenter(pictures)
        reversed_order = segmenter(pictures[::-1])[::-1]
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
        "picture",
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
    def test_refuses_what_is_no_picture(self, segmenter: Segmenter, picture: Any) -> None:
        with pytest.raises(InstancesError, match="expected a picture"):
            segmenter([picture])

    @pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        picture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        [found] = segmenter([picture])
        assert found.image_size == size

    def test_warm_up_changes_nothing(self, segmenter: Segmenter, portrait: Image) -> None:
        [before] = segmenter([portrait])
        segmenter.warm_up((portrait.shape[0], portrait.shape[1]))
        [after] = segmenter([portrait])
        assert same_bytes(before, after)


class TestOpenVino(SegmenterContract):
    @pytest.fixture(params=["fp32", "bf16"])
    def segmenter(self, request: pytest.FixtureRequest, build_openvino: Any) -> Segmenter:
        segmenter: Segmenter = build_openvino(precision=request.param)
        return segmenter

    def test_info(self, segmenter: Segmenter) -> None:
        assert segmenter.info.engine == "openvino"
        assert segmenter.info.weights == "lite"
        assert segmenter.info.weights_sha256 == LITE_SHA256
        assert set(segmenter.info.class_names) == set(LITE_CATEGORY_IDS)

    def test_a_cache_that_cannot_be_written_still_serves(
        self, build_openvino: Any, lite: Weights, portrait: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [expected] = build_openvino(precision="fp32")([portrait])  # the graphs are in the cache by now
        monkeypatch.setattr("roadmask.engines.openvino_engine.os.access", lambda *_: False)
        monkeypatch.setattr("roadmask.engines.cache.FileLock", None)  # nothing may be locked
        again = OpenVinoSegmenter(
            lite, LITE_CATEGORY_IDS, score_min=0.05, network_shape=SHAPE, threads=2, precision="fp32"
        )
        assert same_bytes(again([portrait])[0], expected)


class TestTorch(SegmenterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        few = GraphSettings(proposals=64, detections=10)  # torchvision's own numbers are slow
        return TorchSegmenter(lite, LITE_CATEGORY_IDS, score_min=0.05, network_shape=SHAPE, settings=few)

    def test_info(self, segmenter: Segmenter) -> None:
        assert (segmenter.info.engine, segmenter.info.precision) == ("torch", "fp32")


def middle_person(picture: Image, _number: int) -> Instances:
    """One person, whose box is the middle of the picture and whose mask fills it."""
    height, width = picture.shape[:2]
    boxes = np.array([[width / 5, height / 5, width * 4 / 5, height * 4 / 5]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, (height, width))
    return Instances((height, width), boxes, np.array([0.9], np.float32), np.array([PEDESTRIAN]), masks)


class TestScripted(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return ScriptedSegmenter(middle_person)

    def test_a_list_is_played_in_turn_and_again(self) -> None:
        picture = np.zeros((4, 6, 3), np.uint8)
        first, second = Instances.empty((4, 6)), middle_person(picture, 0)
        segmenter = ScriptedSegmenter([first, second])
        assert segmenter([picture, picture, picture]) == [first, second, first]
        assert segmenter([picture]) == [second]
        assert segmenter.pictures == 4

    def test_fails_where_told(self) -> None:
        picture = np.zeros((4, 6, 3), np.uint8)
        segmenter = ScriptedSegmenter([Instances.empty((4, 6))], fail_at=[1])
        segmenter([picture])
        with pytest.raises(EngineError, match="picture 1"):
            segmenter([picture])
        assert len(segmenter([picture])) == 1

    def test_a_function_sees_picture_and_number(self) -> None:
        seen: list[tuple[tuple[int, ...], int]] = []

        def script(picture: Image, number: int) -> Instances:
            seen.append((picture.shape, number))
            return Instances.empty(picture.shape[:2])

        ScriptedSegmenter(script)([np.zeros((4, 6, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)])
        assert seen == [((4, 6, 3), 0), ((2, 3, 3), 1)]

    def test_takes_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        ScriptedSegmenter([Instances.empty((4, 6))], delay_s=0.25)([np.zeros((4, 6, 3), np.uint8)] * 2)
        assert slept == [0.25, 0.25]

    def test_refuses_an_empty_script_and_pictures_of_another_size(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            ScriptedSegmenter([])
        with pytest.raises(EngineError, match="script the size"):
            ScriptedSegmenter([Instances.empty((4, 6))])([np.zeros((5, 6, 3), np.uint8)])
