"""The static graphs give torchvision's numbers, in torch and in OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines import BoxMasks, Image, Instances
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.static_graph import StaticDetector, StaticMasks
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.torch.segmenter import TorchSegmenter
from roadmask.evaluation.speed.random_weights import write_random_weights
from support.parity import Found, assert_equal_numbers, run_static, run_torchvision

SHAPE = (192, 160)
SETTINGS = GraphSettings()


def as_found(instances: Instances) -> Found:
    assert isinstance(instances.masks, BoxMasks)
    return Found(instances.boxes, instances.scores, instances.category_ids, instances.masks.probabilities)


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


class TestOpenVino:
    def test_fp32_is_torchvision(
        self,
        build_openvino: Callable[..., OpenVinoSegmenter],
        reference: TorchSegmenter,
        portrait: Image,
    ) -> None:
        [ours], [theirs] = build_openvino(precision="fp32")([portrait]), reference([portrait])
        assert_equal_numbers(as_found(ours), as_found(theirs))

    def test_fp32_is_torchvision_on_streets(
        self,
        build_openvino: Callable[..., OpenVinoSegmenter],
        reference: TorchSegmenter,
        street_images: list[Image],
    ) -> None:
        for ours, theirs in zip(build_openvino(precision="fp32")(street_images), reference(street_images), strict=True):
            assert_equal_numbers(as_found(ours), as_found(theirs))

    def test_bf16_finds_the_same_things(
        self,
        build_openvino: Callable[..., OpenVinoSegmenter],
        reference: TorchSegmenter,
        portrait: Image,
    ) -> None:
        [ours], [theirs] = build_openvino(precision="bf16")([portrait]), reference([portrait])
        assert ours.category_ids[0] == theirs.category_ids[0]
        assert abs(float(ours.scores[0] - theirs.scores[0])) < 0.05
        assert ours.masks is not None
        assert ours[:1].masks.iou(theirs[:1].masks)[0, 0] > 0.95  # type: ignore[union-attr, arg-type]

    def test_unconverged_images_are_counted_and_finished(
        self, build_openvino: Callable[..., OpenVinoSegmenter], reference: TorchSegmenter, portrait: Image
    ) -> None:
        # Equal anchors in a row on an empty wall suppress each other in a longer chain than the graph has steps.
        wall = np.full((600, 512, 3), 128, np.uint8)
        wall[500:, 427:] = cv2.resize(portrait, (85, 100), interpolation=cv2.INTER_AREA)
        segmenter = build_openvino(precision="fp32")
        before = segmenter.unconverged_images
        [ours], [theirs] = segmenter([wall]), reference([wall])
        assert segmenter.unconverged_images == before + 1
        assert theirs.scores[0] > 0.8
        assert_equal_numbers(as_found(ours), as_found(theirs))

    def test_asking_for_fewer_classes_only_leaves_others_out(
        self, build_openvino: Callable[..., OpenVinoSegmenter], lite: Weights, portrait: Image
    ) -> None:
        both = np.concatenate([portrait, portrait[:, ::-1]])
        [everything] = build_openvino(precision="fp32")([both])
        people = OpenVinoSegmenter(lite, (1,), score_min=0.3, input_size=SHAPE, precision="fp32")
        [found] = people([both])
        expected = everything[(everything.category_ids == 1) & (everything.scores > 0.3)]
        assert len(found)
        assert_equal_numbers(as_found(found), as_found(expected))
