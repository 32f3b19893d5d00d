"""OpenVINO keeps the contract of every engine, and gives torchvision's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from roadmask.engines import (
    BoxMasks,
    Image,
    Instances,
    Segmenter,
)
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import LITE_SHA256, Weights
from roadmask.engines.openvino.graph import ROWS_NAME
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter, inexact_layers
from roadmask.engines.torch.segmenter import TorchSegmenter
from roadmask.testing.segmenter_contract import same_bytes
from support.parity import Found, assert_equal_numbers
from support.segmenter_contract import PortraitContract

SHAPE = (192, 160)
SETTINGS = GraphSettings()


def as_found(instances: Instances) -> Found:
    assert isinstance(instances.masks, BoxMasks)
    return Found(instances.boxes, instances.scores, instances.category_ids, instances.masks.probabilities)


@pytest.fixture(scope="module")
def reference(lite: Weights) -> TorchSegmenter:
    return TorchSegmenter(lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, settings=SETTINGS)


class TestOpenVino(PortraitContract):
    @pytest.fixture(params=["fp32", "bf16", "int8"])
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
        monkeypatch.setattr("roadmask.engines.openvino.segmenter.os.access", lambda *_: False)
        monkeypatch.setattr("roadmask.engines.networks.cache.FileLock", None)  # nothing may be locked
        again = OpenVinoSegmenter(
            lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, threads=2, precision="fp32"
        )
        assert same_bytes(again([portrait])[0], expected)

    def test_reduced_precision_before_boxes_would_be_noticed(
        self, build_openvino: Callable[..., OpenVinoSegmenter]
    ) -> None:
        segmenter = build_openvino(precision="bf16")
        [files] = [exported_graphs(segmenter._weights, (192, 160), segmenter._settings)]
        compiled = segmenter._compile(files.detector, ("node_exp",))
        assert not list(inexact_layers(compiled, ("node_exp", "node_gt", "node_topk", ROWS_NAME)))
        assert list(inexact_layers(compiled, ("node_conv2d",))), "the convolutions are meant to run in bf16"
        assert list(inexact_layers(compiled, ("no_such_layer",))) == ["no_such_layer not found"]


class TestParity:
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
