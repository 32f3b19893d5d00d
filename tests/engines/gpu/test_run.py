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
from roadmask.engines.gpu.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.weights import Weights
from support.scripted_gpu import ScriptedCuda, ScriptedTensorRt
from support.segmenter_contract import SegmenterContract, same_bytes

SHAPE = (192, 160)
FRAME = (100, 80)
FEW = GraphSettings(proposals=32, detections=5)
CLASSES = np.ones(7, np.float32)


@pytest.fixture(scope="module")
def plan_bytes(lite: Weights) -> bytes:
    return typed_onnx(lite, SHAPE, 2, "fp32", FEW).read_bytes()


@pytest.fixture
def cuda() -> ScriptedCuda:
    return ScriptedCuda()


@pytest.fixture
def tensorrt(cuda: ScriptedCuda) -> ScriptedTensorRt:
    return ScriptedTensorRt(cuda)


Make = Callable[[], PlanRunner]


@pytest.fixture
def make(plan_bytes: bytes, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> Make:
    return lambda: PlanRunner(LoadedPlan.of(plan_bytes, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))


def noise(*size: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


class TestTensorRt(SegmenterContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights, plan_bytes: bytes) -> Segmenter:
        cuda = ScriptedCuda()
        plan = LoadedPlan.of(plan_bytes, ScriptedTensorRt(cuda))
        return TensorRtSegmenter(
            lite, LITE_CATEGORY_IDS, lambda _: plan, Cuda(cuda), precision="fp32", score_min=0.05, network_shape=SHAPE
        )

    # The profile of a plan ends at 3840.
    @pytest.mark.parametrize("size", [(1, 1), (1, 3840), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        super().test_any_size(segmenter, size)


class TestOnnxGraph(SegmenterContract):
    @pytest.fixture(scope="class", params=["fp32", "fp16"])
    @staticmethod
    def segmenter(lite: Weights, request: pytest.FixtureRequest) -> Segmenter:
        precision: GpuPrecision = request.param
        return OnnxGraphSegmenter(
            lite,
            LITE_CATEGORY_IDS,
            score_min=0.05,
            network_shape=SHAPE,
            precision=precision,
            threads=2,
            settings=FEW,
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

    def test_nms_is_run_again_from_where_it_stopped_until_it_settles(
        self, lite: Weights, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt, portrait: Image
    ) -> None:
        expected = self._found(lite, cuda, tensorrt, portrait, FEW.nms_steps)
        runs_before = sum(context.runs for context in tensorrt.contexts)
        found = self._found(lite, cuda, tensorrt, portrait, 2)
        runs = sum(context.runs for context in tensorrt.contexts) - runs_before
        assert runs > 3, "one to prepare, two for the pictures, more to settle"
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)

    @staticmethod
    def _found(
        lite: Weights, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt, picture: Image, steps: int
    ) -> list[np.ndarray]:
        settings = GraphSettings(proposals=32, detections=5, nms_steps=steps)
        plan = LoadedPlan.of(typed_onnx(lite, SHAPE, 2, "fp32", settings).read_bytes(), tensorrt)
        runner = PlanRunner(plan, picture.shape[:2], CLASSES, 0.05, Cuda(cuda))
        results = []
        for _ in range(2):  # the second starts from ones again
            runner.launch([picture, picture])
            results.append(runner.collect()["boxes"].copy())
        np.testing.assert_array_equal(*results)
        return results

    def test_many_frames_of_several_sizes_come_back_in_order(
        self, lite: Weights, plan_bytes: bytes, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt, portrait: Image
    ) -> None:
        plan = LoadedPlan.of(plan_bytes, tensorrt)
        segmenter = TensorRtSegmenter(
            lite, LITE_CATEGORY_IDS, lambda _: plan, Cuda(cuda), precision="fp32", score_min=0.05, network_shape=SHAPE
        )
        flipped, cut = np.ascontiguousarray(portrait[:, ::-1]), np.ascontiguousarray(portrait[:300])
        pictures = [portrait, cut, flipped, portrait, flipped, portrait, cut, flipped]
        found = segmenter(pictures)
        for picture, one in zip(pictures, found, strict=True):
            assert same_bytes(one, segmenter([picture])[0])
        segmenter.close()
        assert not cuda.holds


class TestErrors:
    @pytest.mark.parametrize("allocations", [0, 1, 7])
    def test_out_of_memory_leaves_nothing_allocated(
        self, plan_bytes: bytes, allocations: int, tensorrt: ScriptedTensorRt
    ) -> None:
        tensorrt.cuda = cuda = ScriptedCuda(allocations)
        with pytest.raises(DeviceMemoryError, match="use a smaller batch"):
            PlanRunner(LoadedPlan.of(plan_bytes, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))
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

    def test_frames_beyond_the_profile(self, plan_bytes: bytes, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        with pytest.raises(EngineError, match="takes no frames of"):
            PlanRunner(LoadedPlan.of(plan_bytes, tensorrt), (2000, 4000), CLASSES, 0.05, Cuda(cuda))
        assert not cuda.holds

    def test_cuda_that_fails(self, make: Make, cuda: ScriptedCuda) -> None:
        runner = make()
        cuda.fail = "cudaGraphLaunch"
        with pytest.raises(EngineError, match="cudaGraphLaunch failed with 719"):
            runner.launch([noise(*FRAME)])
