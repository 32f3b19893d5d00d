"""TensorRT on a scripted GPU keeps the contract of every engine, and takes frames of many sizes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from roadmask.engines import EngineError, Image, Segmenter
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.networks.frame_size_cache import SIZES_MAX
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.typed_onnx import typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.runner import LoadedPlan
from roadmask.engines.tensorrt.segmenter import TensorRtSegmenter
from support.scripted_gpu import ScriptedCuda, ScriptedTensorRt
from support.segmenter_contract import PortraitContract
from support.tiny_plan import tiny_plan

SHAPE = (192, 160)
FRAME = (100, 80)
FEW = GraphSettings(proposals=32, detections=5)


@pytest.fixture
def cuda() -> ScriptedCuda:
    return ScriptedCuda()


@pytest.fixture
def tensorrt(cuda: ScriptedCuda) -> ScriptedTensorRt:
    return ScriptedTensorRt(cuda)


def noise(*size: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


class TestTensorRt(PortraitContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        cuda = ScriptedCuda()
        plan = LoadedPlan.of(typed_onnx(lite, SHAPE, 2, "fp32", FEW).read_bytes(), ScriptedTensorRt(cuda))
        return TensorRtSegmenter(
            lite,
            LITE_CATEGORY_IDS,
            {SHAPE: {2: lambda: plan}},
            Cuda(cuda),
            precision="fp32",
            score_min=0.05,
            input_size=SHAPE,
        )

    # The profile of a plan ends at 3840.
    @pytest.mark.parametrize("size", [(1, 1), (1, 3840), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        super().test_any_size(segmenter, size)


class TestSegmenter:
    @pytest.fixture
    @staticmethod
    def segmenter(lite: Weights, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> TensorRtSegmenter:
        plans = {batch: partial(LoadedPlan.of, tiny_plan(SHAPE, batch), tensorrt) for batch in (1, 2, 4)}
        return TensorRtSegmenter(
            lite, LITE_CATEGORY_IDS, {SHAPE: plans}, Cuda(cuda), precision="fp32", score_min=0.05, input_size=SHAPE
        )

    def test_many_frames_of_several_sizes_come_back_in_order(
        self, segmenter: TensorRtSegmenter, cuda: ScriptedCuda
    ) -> None:
        shades = list(range(10, 250, 10))
        images = [np.full((50 + 7 * (shade % 3), 60, 3), shade, np.uint8) for shade in shades]
        found = segmenter(images)
        assert [each.scores[0] for each in found] == pytest.approx(shades)
        assert [each.image_size for each in found] == [image.shape[:2] for image in images]
        segmenter.close()
        assert not cuda.holds

    @pytest.mark.parametrize(
        ("frames", "batches"),
        [(1, [1]), (2, [2]), (3, [4]), (4, [4]), (5, [4, 1]), (8, [4, 4]), (13, [4, 4, 1])],
    )
    def test_the_smallest_plan_that_holds_the_frames_runs_and_a_second_context_only_if_needed(
        self, segmenter: TensorRtSegmenter, tensorrt: ScriptedTensorRt, frames: int, batches: list[int]
    ) -> None:
        for _ in range(2):
            segmenter([noise(*FRAME)] * frames)
        assert [context.shapes["frames"][0] for context in tensorrt.contexts] == batches

    def test_warm_up_leaves_nothing_to_prepare(self, segmenter: TensorRtSegmenter, tensorrt: ScriptedTensorRt) -> None:
        segmenter.warm_up(FRAME)
        assert [context.shapes["frames"][0] for context in tensorrt.contexts] == [1, 2, 4]
        for count in range(1, 5):
            segmenter([noise(*FRAME)] * count)
        assert len(tensorrt.contexts) == 3

    def test_sizes_that_were_not_asked_for_of_late_are_given_up(
        self, segmenter: TensorRtSegmenter, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt
    ) -> None:
        for width in range(20, 20 + SIZES_MAX):
            segmenter([noise(30, width)])
        held = cuda.holds
        segmenter([noise(30, 20)])
        segmenter([noise(30, 90)])  # 21 goes, the oldest
        assert cuda.holds == held
        made = len(tensorrt.contexts)
        segmenter([noise(30, 20)])
        assert len(tensorrt.contexts) == made
        segmenter([noise(30, 21)])
        assert len(tensorrt.contexts) == made + 1
        segmenter.close()
        assert not cuda.holds

    def test_images_go_through_a_shape_that_there_is_a_plan_of(
        self, lite: Weights, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt, caplog: pytest.LogCaptureFixture
    ) -> None:
        plans = {
            shape: {1: partial(LoadedPlan.of, tiny_plan(shape, 1), tensorrt)} for shape in ((384, 640), (640, 384))
        }
        segmenter = TensorRtSegmenter(lite, LITE_CATEGORY_IDS, plans, Cuda(cuda), precision="fp32", score_min=0.05)
        for size in ((90, 160), (120, 90), (120, 90)):
            segmenter([noise(*size)])
        assert [context.shapes["rows"][1] for context in tensorrt.contexts] == [384, 640]
        [said] = caplog.messages
        assert said == "frames of 90 x 120 run at the input size 640x384, as there is no plan for 512x384"

    def test_close_frees_all_that_can_be_and_says_what_failed(
        self, segmenter: TensorRtSegmenter, cuda: ScriptedCuda
    ) -> None:
        for width in (20, 30):
            segmenter([noise(30, width)])
        cuda.fail = {"cudaGraphExecDestroy"}
        with pytest.raises(EngineError, match="cudaGraphExecDestroy failed with 719"):
            segmenter.close()
        assert not cuda.device
        assert not cuda.host
        assert not cuda.streams
        segmenter.close()
