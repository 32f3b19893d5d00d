"""The scripted segmenter keeps the contract of every engine, and plays its script."""

from __future__ import annotations

import time

import numpy as np
import pytest

from roadmask.engines import (
    BoxMasks,
    EngineError,
    Image,
    Instances,
    ScriptedSegmenter,
    Segmenter,
)
from roadmask.engines.classes import PEDESTRIAN
from support.segmenter_contract import PortraitContract


def middle_person(image: Image, _number: int) -> Instances:
    """One person, whose box is the middle of the image and whose mask fills it."""
    height, width = image.shape[:2]
    boxes = np.array([[width / 5, height / 5, width * 4 / 5, height * 4 / 5]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, (height, width))
    return Instances((height, width), boxes, np.array([0.9], np.float32), np.array([PEDESTRIAN]), masks)


class TestScripted(PortraitContract):
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return ScriptedSegmenter(middle_person)

    def test_a_list_is_played_in_turn_and_again(self) -> None:
        image = np.zeros((4, 6, 3), np.uint8)
        first, second = Instances.empty((4, 6)), middle_person(image, 0)
        segmenter = ScriptedSegmenter([first, second])
        assert segmenter([image, image, image]) == [first, second, first]
        assert segmenter([image]) == [second]
        assert segmenter.images == 4

    def test_fails_where_told(self) -> None:
        image = np.zeros((4, 6, 3), np.uint8)
        segmenter = ScriptedSegmenter([Instances.empty((4, 6))], fail_at=[1])
        segmenter([image])
        with pytest.raises(EngineError, match="image 1"):
            segmenter([image])
        assert len(segmenter([image])) == 1

    def test_a_function_sees_image_and_number(self) -> None:
        seen: list[tuple[tuple[int, ...], int]] = []

        def script(image: Image, number: int) -> Instances:
            seen.append((image.shape, number))
            return Instances.empty(image.shape[:2])

        ScriptedSegmenter(script)([np.zeros((4, 6, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)])
        assert seen == [((4, 6, 3), 0), ((2, 3, 3), 1)]

    def test_takes_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        ScriptedSegmenter([Instances.empty((4, 6))], delay_s=0.25)([np.zeros((4, 6, 3), np.uint8)] * 2)
        assert slept == [0.25, 0.25]

    def test_refuses_an_empty_script_and_images_of_another_size(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            ScriptedSegmenter([])
        with pytest.raises(EngineError, match="script the size"):
            ScriptedSegmenter([Instances.empty((4, 6))])([np.zeros((5, 6, 3), np.uint8)])
