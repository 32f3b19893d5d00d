"""The static graphs in torch give torchvision's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roadmask.engines import Image
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.static_graph import StaticDetector, StaticMasks
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.engines.torch.segmenter import TorchSegmenter
from roadmask.evaluation.speed.random_weights import write_random_weights
from support.parity import assert_equal_numbers, run_static, run_torchvision

SHAPE = (192, 160)
SETTINGS = GraphSettings()


@pytest.fixture(scope="module")
def reference(lite: Weights) -> TorchSegmenter:
    return TorchSegmenter(lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, settings=SETTINGS)


class TestStaticGraph:
    @pytest.fixture(scope="module")
    @staticmethod
    def graphs(lite: Weights) -> tuple[StaticDetector, StaticMasks]:
        model = load_model(lite)
        return StaticDetector(model, SHAPE, SETTINGS).eval(), StaticMasks(model, SHAPE, SETTINGS).eval()

    def test_portrait(
        self, graphs: tuple[StaticDetector, StaticMasks], reference: TorchSegmenter, portrait: Image
    ) -> None:
        letterbox = Letterbox.fit(portrait.shape[:2], SHAPE)
        theirs = run_torchvision(reference, letterbox, portrait)
        assert len(theirs.scores)
        assert_equal_numbers(run_static(*graphs, letterbox, portrait), theirs)

    def test_streets(
        self, graphs: tuple[StaticDetector, StaticMasks], reference: TorchSegmenter, street_images: list[Image]
    ) -> None:
        counts = []
        for image in street_images[:3]:
            letterbox = Letterbox.fit(image.shape[:2], SHAPE)
            theirs = run_torchvision(reference, letterbox, image)
            assert_equal_numbers(run_static(*graphs, letterbox, image), theirs)
            counts.append(len(theirs.scores))
        assert sum(counts) > 20, "the images show enough for the comparison to mean something"

    def test_few_steps_are_finished_by_running_again(self, lite: Weights, portrait: Image) -> None:
        model = load_model(lite)
        letterbox = Letterbox.fit(portrait.shape[:2], SHAPE)
        results = []
        for steps in (3, 16):
            settings = replace(SETTINGS, nms_steps=steps)
            graphs = StaticDetector(model, SHAPE, settings).eval(), StaticMasks(model, SHAPE, settings).eval()
            results.append(run_static(*graphs, letterbox, portrait))
        assert_equal_numbers(*results)

    @pytest.mark.parametrize("architecture", [Architecture.RESNET50, Architecture.RESNET50_V2])
    def test_random_resnets(self, architecture: Architecture, portrait: Image, tmp_path: Path) -> None:
        shape, settings = (128, 128), replace(SETTINGS, proposals=32, detections=16, anchors_per_level=100)
        letterbox = Letterbox.fit(portrait.shape[:2], shape)
        write_random_weights(tmp_path / "random.safetensors", architecture, letterbox.apply(portrait))
        weights = find_weights(tmp_path / "random.safetensors")
        assert weights.architecture is architecture
        reference = TorchSegmenter(weights, (1, 3), score_min=0.05, input_size=shape, settings=settings)
        theirs = run_torchvision(reference, letterbox, portrait)
        assert len(theirs.scores) > 5
        model = load_model(weights)
        graphs = StaticDetector(model, shape, settings).eval(), StaticMasks(model, shape, settings).eval()
        assert_equal_numbers(run_static(*graphs, letterbox, portrait), theirs)
