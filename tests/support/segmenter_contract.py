"""The contract of engines that run our networks: they see the person in a portrait."""

from __future__ import annotations

import pytest

from roadmask.engines import Image, Segmenter
from roadmask.engines.classes import PEDESTRIAN
from roadmask.testing import SegmenterContract


class PortraitContract(SegmenterContract):
    @pytest.fixture
    def image(self, portrait: Image) -> Image:
        return portrait

    def test_finds_the_person(self, segmenter: Segmenter, portrait: Image) -> None:
        assert segmenter.info.class_names[PEDESTRIAN] == "pedestrian"
        [found] = segmenter([portrait])
        assert found.category_ids[0] == PEDESTRIAN
        assert found.scores[0] > 0.5
        assert found.masks is not None
        [inside] = found[:1].masks.to_rle().dense()  # type: ignore[union-attr]
        height, width = portrait.shape[:2]
        assert inside[height // 2, width // 2], "the middle of the portrait is the person"
        assert not inside[:20, :20].any(), "the top left corner is background"
        assert 0.2 < inside.mean() < 0.9
