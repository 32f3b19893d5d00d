"""The runtime of plans, its buffers and its errors, on a GPU that is played; and the contract of every engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from roadmask.engines import EngineError, Image, InputError, Segmenter
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.errors import DeviceMemoryError, PlanForeignError
from roadmask.engines.gpu.cuda import Cuda
from roadmask.engines.gpu.onnx_engine import OnnxGraphSegmenter
from roadmask.engines.gpu.run import LoadedPlan, PlanRunner
from roadmask.engines.gpu.segmenter import TensorRtSegmenter
from roadmask.engines.gpu.typed_onnx import typed_onnx
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.weights import Weights
from support.scripted_gpu import ScriptedCuda, ScriptedTensorRt
from support.segmenter_contract import SegmenterContract
from support.tiny_plan import tiny_plan

SHAPE = (192, 160)
FRAME = (100, 80)
FEW = GraphSettings(proposals=32, detections=5)
CLASSES = np.ones(7, np.float32)


TINY = tiny_plan(SHAPE, 2)


@pytest.fixture
def cuda() -> ScriptedCuda:
    return ScriptedCuda()


@pytest.fixture
def tensorrt(cuda: ScriptedCuda) -> ScriptedTensorRt:
    return ScriptedTensorRt(cuda)


Make = Callable[[], PlanRunner]


@pytest.fixture
def make(cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> Make:
    return lambda: PlanRunner(LoadedPlan.of(TINY, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))


def noise(*size: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


class TestTensorRt(SegmenterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        cuda = ScriptedCuda()
        plan = LoadedPlan.of(typed_onnx(lite, SHAPE, 2, "fp32", FEW).read_bytes(), ScriptedTensorRt(cuda))
        return TensorRtSegmenter(
            lite, LITE_CATEGORY_IDS, lambda _: plan, Cuda(cuda), precision="fp32", score_min=0.05, network_shape=SHAPE
        )

    # The profile of a plan ends at 3840.
    @pytest.mark.parametrize("size", [(1, 1), (1, 3840), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        super().test_any_size(segmenter, size)


class TestOnnxGraph(SegmenterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        return OnnxGraphSegmenter(
            lite, LITE_CATEGORY_IDS, score_min=0.05, network_shape=SHAPE, precision="fp16", threads=2, settings=FEW
        )


class TestBuffers:
    def test_nothing_is_allocated_after_the_start_and_one_wait_a_batch(self, make: Make, cuda: ScriptedCuda) -> None:
        runner = make()
        cuda.calls.clear()
        for _ in range(3):
            runner.launch([noise(*FRAME)])
            runner.collect()
        assert cuda.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"] * 3

    def test_close_gives_everything_back_and_may_be_called_twice(self, make: Make, cuda: ScriptedCuda) -> None:
        runner = make()
        assert cuda.device
        assert cuda.host
        runner.close()
        runner.close()
        assert not cuda.holds

    def test_results_lie_in_the_runners_memory(self, make: Make) -> None:
        runner = make()
        runner.launch([noise(*FRAME)])
        first = runner.collect()
        runner.launch([np.zeros((*FRAME, 3), np.uint8)])
        assert runner.collect()["scores"] is first["scores"]

    def test_frames_that_are_left_out_do_not_linger(self, make: Make) -> None:
        runner = make()
        runner.launch([noise(*FRAME), noise(*FRAME)])
        both = {name: values.copy() for name, values in runner.collect().items()}
        runner.launch([noise(*FRAME)])
        one = runner.collect()
        assert np.array_equal(one["scores"][0], both["scores"][0])
        assert np.array_equal(both["scores"][0], both["scores"][1])

    @pytest.mark.parametrize("runs", [1, 2, 4])
    def test_nms_is_run_again_from_where_it_stopped_until_it_settles(
        self, runs: int, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt
    ) -> None:
        plan = LoadedPlan.of(tiny_plan(SHAPE, 2, runs=runs), tensorrt)
        runner = PlanRunner(plan, FRAME, CLASSES, 0.05, Cuda(cuda))
        [context] = tensorrt.contexts
        for _ in range(2):  # the second starts from ones again
            before = context.runs
            runner.launch([noise(*FRAME)])
            runner.collect()
            assert context.runs - before == runs

    def test_nms_that_never_settles_is_an_error(self, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        plan = LoadedPlan.of(tiny_plan(SHAPE, 2, runs=1000), tensorrt)
        runner = PlanRunner(plan, FRAME, CLASSES, 0.05, Cuda(cuda))
        runner.launch([noise(*FRAME)])
        with pytest.raises(EngineError, match="did not settle in 15 runs"):
            runner.collect()

    def test_many_frames_of_several_sizes_come_back_in_order(
        self, lite: Weights, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt
    ) -> None:
        plan = LoadedPlan.of(TINY, tensorrt)
        segmenter = TensorRtSegmenter(
            lite, LITE_CATEGORY_IDS, lambda _: plan, Cuda(cuda), precision="fp32", score_min=0.05, network_shape=SHAPE
        )
        shades = [10, 20, 30, 40, 50, 60, 70, 80]
        pictures = [np.full((50 + 7 * (shade % 3), 60, 3), shade, np.uint8) for shade in shades]
        found = segmenter(pictures)
        assert [each.scores[0] for each in found] == pytest.approx(shades)
        assert [each.image_size for each in found] == [picture.shape[:2] for picture in pictures]
        segmenter.close()
        assert not cuda.holds


class TestErrors:
    @pytest.mark.parametrize("allocations", [0, 1, 7])
    def test_out_of_memory_leaves_nothing_allocated(self, allocations: int, tensorrt: ScriptedTensorRt) -> None:
        tensorrt.cuda = cuda = ScriptedCuda(allocations)
        with pytest.raises(DeviceMemoryError, match="use a smaller batch"):
            PlanRunner(LoadedPlan.of(TINY, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))
        assert not cuda.holds

    def test_a_plan_that_is_none_or_for_another_chip(self, tensorrt: ScriptedTensorRt) -> None:
        with pytest.raises(PlanForeignError, match=r"TensorRT 10\.13 does not load the plan on this GPU"):
            LoadedPlan.of(b"no plan", tensorrt)

    def test_a_plan_of_another_graph(self, tensorrt: ScriptedTensorRt) -> None:
        image = onnx.helper.make_tensor_value_info("frames", onnx.TensorProto.FLOAT, [1, 4])
        out = onnx.helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, [1, 4])
        node = onnx.helper.make_node("Relu", ["frames"], ["boxes"])
        graph = onnx.helper.make_graph([node], "other", [image], [out])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
        with pytest.raises(PlanForeignError, match="frames: expected uint8, got float32; rows: expected int32, got no"):
            LoadedPlan.of(model.SerializeToString(), tensorrt)

    @pytest.mark.parametrize(
        ("frames", "message"),
        [
            ([], "expected 1 to 2 frames, got 0"),
            ([noise(*FRAME)] * 3, "expected 1 to 2 frames, got 3"),
            ([noise(80, 100)], r"expected frames of the shape \(100, 80, 3\), got \(80, 100, 3\)"),
            ([noise(*FRAME).astype(np.float32)], "expected frames of uint8, got float32"),
        ],
        ids=["none", "too many", "shape", "type"],
    )
    def test_wrong_frames(self, make: Make, frames: list[Image], message: str) -> None:
        with pytest.raises(InputError, match=message):
            make().launch(frames)

    def test_frames_beyond_the_profile(self, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        with pytest.raises(EngineError, match="takes no frames of"):
            PlanRunner(LoadedPlan.of(TINY, tensorrt), (2000, 4000), CLASSES, 0.05, Cuda(cuda))
        assert not cuda.holds

    def test_cuda_that_fails(self, make: Make, cuda: ScriptedCuda) -> None:
        runner = make()
        cuda.fail = "cudaGraphLaunch"
        with pytest.raises(EngineError, match="cudaGraphLaunch failed with 719"):
            runner.launch([noise(*FRAME)])
