"""`python -m benchmarks.gpu`: its steps on the CPU, what it says without a GPU, and that it refuses wrong engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.gpu import measuring as gpu
from benchmarks.gpu.__main__ import app
from benchmarks.gpu.contenders import ENGINES, Candidate, Contender, Round, candidates, entries
from benchmarks.gpu.measuring import GpuBenchmark, benchmark_gpu, check, require_right
from roadmask.engines import BoxMasks, EngineError, Image, Instances, ScriptedSegmenter
from roadmask.engines.errors import BuildError, ConfigError, GpuMissingError, TensorRtMissingError
from roadmask.engines.networks.weights import find_weights


def one(box: tuple[float, ...], score: float, size: tuple[int, int] = (100, 100)) -> Instances:
    boxes = np.array([box], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, size)
    return Instances(size, boxes, np.array([score], np.float32), np.array([1]), masks)


SETTINGS = GpuBenchmark(((128, 192),), (1,), 1, (108, 192), device="cpu")


def test_every_figure_of_what_runs() -> None:
    records = benchmark_gpu("lite", SETTINGS)
    assert [record["engine"] for record in records] == ["torchvision-eager", "torch-cuda"]
    for record in records:
        assert record["engine_ms"] > 0
        assert record["rle_ms"] > 0
        assert record["gflop"] > 0.1
        assert record["product"] == "fp32", "TF32 is a GPU's"
        assert record["tflops"] == pytest.approx(record["gflop"] / record["engine_ms"], abs=1e-3)
        assert record["frames_per_second"] == pytest.approx(1e3 / record["engine_ms"], abs=0.06)
        assert record["agreed"] == 1
        assert record["matmul_fraction"] > 0
    eager, graph = (record["gflop"] for record in records)
    assert eager < 0.7 * graph, "torchvision masks what it found, the graph all of its 100 slots"


def test_engines_that_fail_or_are_wrong_are_recorded_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    @contextmanager
    def opened(name: str) -> Iterator[Contender]:
        if name == "breaks":
            raise RuntimeError("the compiler gave up")
        seen = one((10.0, 10.0, 60.0, 60.0), 0.9, SETTINGS.frame_size)
        segmenter = ScriptedSegmenter(lambda image, _: seen if name == "good" else Instances.empty(image.shape[:2]))
        try:
            repeat = pytest.fail if name == "blind" else lambda: None
            yield Contender(name, "fp32", segmenter, repeat, 1.0, "tf32" if name == "good" else "int8")
        finally:
            ended.append(name)

    def three(_: Round, _entered: object) -> list[Candidate]:
        return [Candidate(name, "fp32", partial(opened, name)) for name in ("breaks", "blind", "good")]

    monkeypatch.setattr("benchmarks.gpu.measuring.candidates", three)
    monkeypatch.setattr("benchmarks.gpu.measuring.TorchSegmenter", lambda *_, **__: sees_one)
    monkeypatch.setattr("benchmarks.gpu.measuring._gflop", lambda *_: 3.0)
    rates = {"fp32": 1.0, "tf32": 2.0, "fp16": 4.0}
    monkeypatch.setattr("benchmarks.gpu.measuring._matmul_tflops", lambda _: rates)
    records = benchmark_gpu("lite", SETTINGS)
    assert [(record["engine"], record["state"]) for record in records] == [
        ("breaks", "failed"),
        ("blind", "wrong"),
        ("good", "timed"),
    ]
    assert records[0]["problem"] == "RuntimeError: the compiler gave up"
    assert "blind fp32 is wrong: it and torchvision eager agree on 0% of 1 sure instances" in records[1]["problem"]
    assert [record["engine_ms"] is None for record in records] == [True, True, False]
    assert [record["gflop"] for record in records] == [None, 1, 1], "each its own arithmetic"
    assert [record["product"] for record in records] == [None, "int8", "tf32"]
    assert [record["matmul_tflops"] for record in records] == [None, None, 2], "what torch multiplies no int8 for"
    assert [record["matmul_fraction"] is None for record in records] == [True, True, False]
    assert ended == ["blind", "good"]
    with pytest.raises(EngineError, match="1 of 3 engines were wrong and not timed, the first: blind"):
        require_right(records)
    require_right([records[0], records[2]])


def sees_one(frames: Sequence[Image]) -> list[Instances]:
    return [one((10.0, 10.0, 60.0, 60.0), 0.9) for _ in frames]


def test_check_passes_what_is_near_and_refuses_what_is_not() -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    expected = [one(box, 0.9)]
    assert check("engine", "fp16", [one((10.5, 10, 60, 60), 0.88)], expected) == 1
    assert check("engine", "fp16", [one(box, 0.9)], expected) == 1
    assert check("engine", "int8", [one((13, 10, 60, 60), 0.8)], expected) == 1
    others = [one((20, 10, 60, 60), 0.9), *expected * 19]
    assert check("engine", "fp16", others, expected * 20) == pytest.approx(0.95)
    for wrong in (one((20, 10, 60, 60), 0.9), one(box, 0.7), Instances.empty((100, 100))):
        with pytest.raises(EngineError, match=" is wrong: "):
            check("engine", "fp16", [wrong], expected)
    unsure = [one(box, 0.55), Instances.empty((100, 100))]
    with pytest.raises(EngineError, match=r"engine fp16 cannot be judged: neither .* above 0\.6 in 2 images"):
        check("engine", "fp16", unsure, unsure)
    with pytest.raises(EngineError, match=" is wrong: "):
        check("engine", "int8", [one((30, 10, 60, 60), 0.8)], expected)
    with pytest.raises(EngineError, match=" is wrong: "):
        check("engine", "fp32", [one((10.5, 10, 60, 60), 0.9)], [one((12, 10, 60, 60), 0.9)])


def test_the_rate_of_fp32_is_measured_with_and_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(gpu, "_rate", lambda *_: float(seen.append(torch.get_float32_matmul_precision()) or len(seen)))
    assert gpu._matmul_tflops(SETTINGS) == {"fp32": 1, "fp16": 2, "tf32": 3}
    assert seen == ["highest", "highest", "high"]
    assert torch.get_float32_matmul_precision() == "highest", "as it was"


def missing(flavour: str) -> None:
    raise TensorRtMissingError(f"the flavour {flavour} needs {flavour}-cu13: pip install {flavour}-cu13")


def test_int8_is_what_tensorrt_alone_computes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.contenders.load_tensorrt", lambda _: None)
    assert entries((), ("int8",)) == [("tensorrt", "int8"), ("tensorrt-rtx", "int8")]
    assert entries(("torch-cuda", "tensorrt"), ()) == [
        *(("torch-cuda", "fp32"), ("tensorrt", "fp32"), ("torch-cuda", "fp16"), ("tensorrt", "fp16")),
        ("tensorrt", "int8"),
    ]
    assert entries((), (), "cpu") == [("torchvision-eager", "fp32"), ("torch-cuda", "fp32")]
    with pytest.raises(ConfigError, match="expected a precision that torch-cuda computes in, got int8"):
        entries(("torch-cuda",), ("int8",))


def test_what_is_asked_for_by_name_and_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.contenders.load_tensorrt", missing)
    assert {name for name, _ in entries((), ())} == set(ENGINES) - {"tensorrt", "tensorrt-rtx"}
    for engines, precisions in ((("torch-cuda", "tensorrt"), ()), ((), ("int8",))):
        with pytest.raises(TensorRtMissingError, match="pip install tensorrt-cu13"):
            entries(engines, precisions)
    with pytest.raises(TensorRtMissingError, match="pip install tensorrt-cu13"):
        benchmark_gpu("lite", replace(SETTINGS, engines=("tensorrt",)))


def test_made_up_weights_are_calibrated_on_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated: list[int] = []

    def calibrate(_graph: object, _weights: object, _shape: object, folder: Path) -> None:
        calibrated.append(len(list(folder.glob("*.png"))))

    module = "benchmarks.gpu.contenders"
    monkeypatch.setattr(f"{module}.calibrate", calibrate)
    monkeypatch.setattr(f"{module}.typed_onnx", lambda *_: None)
    monkeypatch.setattr(f"{module}.build_plan", missing_plan)
    lite = find_weights("lite")
    frames = [np.zeros((108, 192, 3), np.uint8)] * 2
    for weights in (lite, replace(lite, name="lite-random")):
        [candidate] = candidates(Round(weights, (128, 192), frames, "cuda", 1.0), [("tensorrt", "int8")])
        with pytest.raises(BuildError), candidate.open():
            pass
    assert calibrated == [2]


def missing_plan(*_: object) -> bytes:
    raise BuildError("no GPU")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA GPU")
def test_without_a_gpu_it_says_so() -> None:
    found = CliRunner().invoke(app, ["--weights", "lite"])
    assert isinstance(found.exception, GpuMissingError)
    assert found.exception.exit_code == 2
    assert "roadmask bench engine" in str(found.exception)


def test_a_precision_that_no_gpu_engine_has_is_refused() -> None:
    refused = CliRunner().invoke(app, ["--precision", "bf16"])
    assert "expected as --precision fp32, fp16, int8, got bf16" in str(refused.exception)
