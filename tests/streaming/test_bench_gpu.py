"""`roadmask bench gpu`: its steps on the CPU, what it says without a GPU, and that it refuses wrong engines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from roadmask.engines import BoxMasks, EngineError, Instances
from roadmask.engines.errors import GpuMissingError
from roadmask.engines.weights import find_weights
from roadmask.streaming.benchmarks.gpu import GpuBenchmark, benchmark_gpu, check
from roadmask.streaming.cli.app import app


def one(box: tuple[float, ...], score: float) -> Instances:
    boxes = np.array([box], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, (100, 100))
    return Instances((100, 100), boxes, np.array([score], np.float32), np.array([1]), masks)


def test_every_figure_of_what_runs() -> None:
    settings = GpuBenchmark(((192, 320),), (1,), 1, (216, 384), device="cpu")
    records = benchmark_gpu(find_weights("lite"), settings)
    assert [record["engine"] for record in records] == ["torchvision-eager", "torch-cuda"]
    for record in records:
        assert record["engine_ms"] > 0
        assert record["gflop"] > 1
        assert record["tflops"] == pytest.approx(record["gflop"] / record["engine_ms"], rel=0.1)
        assert record["frames_per_second"] == pytest.approx(1e3 / record["engine_ms"], rel=0.1)
        assert record["matmul_fraction"] > 0
    assert records[1]["rle_ms"] > 0


def test_check_passes_what_is_near_and_refuses_what_is_not() -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    expected = [one(box, 0.9)]
    check("engine", "fp16", [one((10.5, 10, 60, 60), 0.88)], expected)
    check("engine", "fp16", [one(box, 0.9)], expected)
    for wrong in (one((20, 10, 60, 60), 0.9), one(box, 0.7), Instances.empty((100, 100))):
        with pytest.raises(EngineError, match="nothing was timed"):
            check("engine", "fp16", [wrong], expected)
    with pytest.raises(EngineError, match="nothing was timed"):
        check("engine", "fp32", [one((10.5, 10, 60, 60), 0.9)], [one((12, 10, 60, 60), 0.9)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA GPU")
def test_without_a_gpu_it_says_so() -> None:
    found = CliRunner().invoke(app, ["bench", "gpu", "--weights", "lite"])
    assert isinstance(found.exception, GpuMissingError)
    assert found.exception.exit_code == 2
    assert "roadmask bench engine" in str(found.exception)
