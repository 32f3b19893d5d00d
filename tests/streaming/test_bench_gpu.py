"""`roadmask bench gpu`: its steps on the CPU, what it says without a GPU, and that it refuses wrong engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from roadmask.engines import BoxMasks, EngineError, Image, Instances, ScriptedSegmenter
from roadmask.engines.errors import GpuMissingError
from roadmask.streaming.benchmarks.gpu import GpuBenchmark, benchmark_gpu, check, require_right
from roadmask.streaming.benchmarks.gpu_contenders import Candidate, Contender, Round
from roadmask.streaming.cli.app import app


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
        assert record["tflops"] == pytest.approx(record["gflop"] / record["engine_ms"], abs=1e-3)
        assert record["frames_per_second"] == pytest.approx(1e3 / record["engine_ms"], abs=0.06)
        assert record["agreed"] == 1
        assert record["matmul_fraction"] > 0


def test_engines_that_fail_or_are_wrong_are_recorded_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    @contextmanager
    def opened(name: str) -> Iterator[Contender]:
        if name == "breaks":
            raise RuntimeError("the compiler gave up")
        seen = one((10.0, 10.0, 60.0, 60.0), 0.9, SETTINGS.frame_size)
        segmenter = ScriptedSegmenter(lambda picture, _: seen if name == "good" else Instances.empty(picture.shape[:2]))
        try:
            yield Contender(name, "fp32", segmenter, pytest.fail if name == "blind" else lambda: None)
        finally:
            ended.append(name)

    def three(_: Round) -> list[Candidate]:
        return [Candidate(name, "fp32", partial(opened, name)) for name in ("breaks", "blind", "good")]

    monkeypatch.setattr("roadmask.streaming.benchmarks.gpu.candidates", three)
    monkeypatch.setattr("roadmask.streaming.benchmarks.gpu.TorchSegmenter", lambda *_, **__: sees_one)
    monkeypatch.setattr("roadmask.streaming.benchmarks.gpu._gflop", lambda _: 1.0)
    records = benchmark_gpu("lite", SETTINGS)
    assert [(record["engine"], record["state"]) for record in records] == [
        ("breaks", "failed"),
        ("blind", "wrong"),
        ("good", "timed"),
    ]
    assert records[0]["problem"] == "RuntimeError: the compiler gave up"
    assert "blind fp32 is wrong: it and torchvision eager agree on 0% of 1 sure instances" in records[1]["problem"]
    assert [record["engine_ms"] is None for record in records] == [True, True, False]
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
    assert check("engine", "fp16", [], []) == 1
    others = [one((20, 10, 60, 60), 0.9), *expected * 19]
    assert check("engine", "fp16", others, expected * 20) == pytest.approx(0.95)
    for wrong in (one((20, 10, 60, 60), 0.9), one(box, 0.7), Instances.empty((100, 100))):
        with pytest.raises(EngineError, match=" is wrong: "):
            check("engine", "fp16", [wrong], expected)
    with pytest.raises(EngineError, match=" is wrong: "):
        check("engine", "fp32", [one((10.5, 10, 60, 60), 0.9)], [one((12, 10, 60, 60), 0.9)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA GPU")
def test_without_a_gpu_it_says_so() -> None:
    found = CliRunner().invoke(app, ["bench", "gpu", "--weights", "lite"])
    assert isinstance(found.exception, GpuMissingError)
    assert found.exception.exit_code == 2
    assert "roadmask bench engine" in str(found.exception)
