"""A plan's buffers and errors, on a scripted GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from roadmask.engines import EngineError, Image, InputError
from roadmask.engines.errors import DeviceMemoryError, PlanForeignError
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.runner import LoadedPlan, PlanRunner
from support.scripted_gpu import ScriptedCuda, ScriptedTensorRt, ScriptedTensorRtForRtx
from support.tiny_plan import tiny_plan

SHAPE = (192, 160)
FRAME = (100, 80)
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

    def test_a_place_gives_what_its_own_frame_is_whatever_lies_in_the_others(self, make: Make) -> None:
        runner = make()
        for shades in ((10, 20), (30,), (40, 50), (20,)):
            runner.launch([np.full((*FRAME, 3), shade, np.uint8) for shade in shades])
            assert runner.collect()["scores"][: len(shades), 0].tolist() == list(shades)

    def test_nms_is_waited_for_in_the_places_of_frames_alone(self, make: Make, tensorrt: ScriptedTensorRt) -> None:
        runner = make()
        [context] = tensorrt.contexts
        bright, black = noise(*FRAME), np.zeros((*FRAME, 3), np.uint8)
        for frames, runs in (([bright], 1), ([black, bright], 2), ([bright], 1), ([bright, black], 2), ([black], 2)):
            before = context.runs
            runner.launch(frames)
            runner.collect()
            assert context.runs - before == runs

    @pytest.mark.parametrize("runs", [1, 2, 4])
    def test_nms_is_run_again_from_where_it_stopped_until_it_converges(
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

    def test_nms_that_never_converges_is_an_error(self, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        plan = LoadedPlan.of(tiny_plan(SHAPE, 2, runs=1000), tensorrt)
        runner = PlanRunner(plan, FRAME, CLASSES, 0.05, Cuda(cuda))
        runner.launch([noise(*FRAME)])
        with pytest.raises(EngineError, match="to converge in 15 runs, it did not"):
            runner.collect()

    def test_without_a_capture_the_steps_are_launched_one_by_one_and_said_to_be(
        self, cuda: ScriptedCuda, caplog: pytest.LogCaptureFixture
    ) -> None:
        tensorrt = ScriptedTensorRtForRtx(cuda, capturable=False)
        runner = PlanRunner(LoadedPlan.of(tiny_plan(SHAPE, 2, runs=2), tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))
        assert "cannot capture this plan" in caplog.text
        for shade in (10, 20):
            runner.launch([np.full((*FRAME, 3), shade, np.uint8)])
            assert runner.collect()["scores"][0, 0] == shade
        assert not {"cudaStreamBeginCapture", "cudaGraphLaunch"} & set(cuda.calls)
        runner.close()
        assert not cuda.holds

    def test_tensorrt_for_rtx_compiles_the_kernels_of_a_size_before_they_are_captured(self, cuda: ScriptedCuda) -> None:
        tensorrt = ScriptedTensorRtForRtx(cuda)
        runner = PlanRunner(LoadedPlan.of(TINY, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))
        [context] = tensorrt.contexts
        assert context.strategy == "eager"
        runner.launch([noise(*FRAME)])
        assert "cudaGraphLaunch" in cuda.calls


class TestErrors:
    @pytest.mark.parametrize("allocations", [0, 1, 7])
    def test_out_of_memory_leaves_nothing_allocated(self, allocations: int, tensorrt: ScriptedTensorRt) -> None:
        tensorrt.cuda = cuda = ScriptedCuda(allocations)
        with pytest.raises(DeviceMemoryError, match="use a smaller batch"):
            PlanRunner(LoadedPlan.of(TINY, tensorrt), FRAME, CLASSES, 0.05, Cuda(cuda))
        assert not cuda.holds

    def test_a_plan_that_is_none_or_for_another_chip(self, tensorrt: ScriptedTensorRt) -> None:
        with pytest.raises(PlanForeignError, match=r"TensorRT 10\.13 does not load .*: a plan begins otherwise"):
            LoadedPlan.of(b"no plan", tensorrt)

    def test_a_plan_that_finds_no_memory_is_not_called_foreign(self, cuda: ScriptedCuda) -> None:
        tensorrt = ScriptedTensorRt(cuda, says="Error Code 1: Cuda Runtime (out of memory)")
        with pytest.raises(DeviceMemoryError, match=r"no memory left for a plan of 0\.0 MB \(.*out of memory"):
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

    def test_portrait_frames_are_as_large_as_others(self, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        runner = PlanRunner(LoadedPlan.of(TINY, tensorrt), (3840, 2160), CLASSES, 0.05, Cuda(cuda))
        runner.close()

    def test_frames_beyond_the_profile(self, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt) -> None:
        with pytest.raises(EngineError, match="expected frames of at most 3840 pixels a side"):
            PlanRunner(LoadedPlan.of(TINY, tensorrt), (2000, 4000), CLASSES, 0.05, Cuda(cuda))
        assert not cuda.holds

    def test_cuda_that_fails(self, make: Make, cuda: ScriptedCuda) -> None:
        runner = make()
        cuda.fail = {"cudaGraphLaunch"}
        with pytest.raises(EngineError, match="cudaGraphLaunch failed with 719"):
            runner.launch([noise(*FRAME)])

    def test_a_failure_while_capturing_is_the_one_that_is_said_and_everything_is_freed(
        self, make: Make, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt
    ) -> None:
        tensorrt.refuse_in_capture = True
        with pytest.raises(EngineError, match="TensorRT refused to run the plan"):
            make()
        assert cuda.capturing is None
        assert not cuda.holds

    @pytest.mark.parametrize("call", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"])
    def test_a_capture_that_fails_leaves_nothing(self, make: Make, cuda: ScriptedCuda, call: str) -> None:
        cuda.fail = {call}
        with pytest.raises(EngineError, match=f"{call} failed with 719"):
            make()
        assert not cuda.holds

    def test_what_cannot_be_freed_does_not_hide_why(
        self, make: Make, cuda: ScriptedCuda, tensorrt: ScriptedTensorRt
    ) -> None:
        tensorrt.refuse_in_capture = True
        cuda.fail = {"cudaFree"}
        with pytest.raises(EngineError, match="TensorRT refused") as caught:
            make()
        assert any("cudaFree failed with 719" in note for note in caught.value.__notes__)
        assert not cuda.host
        assert not cuda.streams
