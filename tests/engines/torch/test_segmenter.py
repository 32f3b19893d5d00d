"""torchvision eager keeps the contract of every engine."""

from __future__ import annotations

import pytest

from roadmask.engines import (
    Segmenter,
)
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights
from roadmask.engines.torch.segmenter import TorchSegmenter
from support.segmenter_contract import PortraitContract

SHAPE = (192, 160)


class TestTorch(PortraitContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        few = GraphSettings(proposals=64, detections=10)  # torchvision's own numbers are slow
        return TorchSegmenter(lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, settings=few)

    def test_info(self, segmenter: Segmenter) -> None:
        assert (segmenter.info.engine, segmenter.info.precision) == ("torch", "fp32")
