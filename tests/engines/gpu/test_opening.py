"""Which engine is chosen where there is a GPU, and which of the cached plans it runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from roadmask.engines import EngineError, load, load_segmenter
from roadmask.engines.errors import ConfigError, GpuMissingError, TensorRtMissingError
from roadmask.engines.gpu import opening
from roadmask.engines.gpu.device import Gpu
from roadmask.engines.gpu.plans import PlanKey, find_or_build
from roadmask.engines.openvino_engine import OpenVinoSegmenter
from roadmask.engines.weights import Weights

GPU = Gpu("Scripted sm89", "13.0")
ONNX = b"onnx"

Cache = Callable[..., None]


@pytest.fixture
def cache_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Puts plans of lite into a cache of the test's own, by default one that was built ahead for sm89."""
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "cache"))
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(ONNX)
    monkeypatch.setattr(opening, "typed_onnx", lambda *_: graph)
    monkeypatch.setattr(opening, "load_tensorrt", lambda _: SimpleNamespace(__version__="1.7"))

    def put(
        *,
        chip: str = "sm89",
        driver: str = "",
        precision: str = "fp16",
        batch: int = 1,
        onnx: bytes = ONNX,
        version: str = "1.7",
    ) -> None:
        digest = hashlib.sha256(onnx).hexdigest()
        key = PlanKey(digest, "lite", "tensorrt-rtx", version, chip, driver, precision, "384x640", batch)
        find_or_build(key, lambda: b"plan")

    return put


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(load, "_NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr("roadmask.engines.gpu.device.describe_gpu", lambda _: GPU)
    monkeypatch.setattr(opening, "describe_gpu", lambda _: GPU)


def test_the_largest_batch_for_this_gpu_is_taken(lite: Weights, cache_plan: Cache) -> None:
    cache_plan(batch=1)
    cache_plan(batch=4)
    cache_plan(batch=8, chip="sm120")
    cache_plan(batch=16, chip=GPU.chip, driver="12.0")
    cache_plan(batch=32, onnx=b"other weights")
    assert opening.find_plan(lite, (384, 640), "fp16", GPU).key.batch == 4
    cache_plan(batch=8, chip=GPU.chip, driver=GPU.driver)
    assert opening.find_plan(lite, (384, 640), "fp16", GPU).key.batch == 8


def test_plans_that_cannot_run_any_more_are_left_out_with_the_reason(
    lite: Weights, cache_plan: Cache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_plan(batch=2, version="1.6")
    cache_plan(batch=4, onnx=b"other weights")
    cache_plan(batch=1)
    assert opening.find_plan(lite, (384, 640), "fp16", GPU).key.batch == 1
    assert "tensorrt-rtx 1.6 built it, 1.7 is installed; build it again" in caplog.text
    assert "of another graph or other weights; build it again" in caplog.text

    def no_ranges(*_: object) -> Path:
        raise ConfigError("int8 needs ranges")

    with monkeypatch.context() as patch:
        patch.setattr(opening, "typed_onnx", no_ranges)
        with pytest.raises(EngineError, match="no plan of lite fp16"):
            opening.find_plan(lite, (384, 640), "fp16", GPU)
    assert "is left out: int8 needs ranges" in caplog.text

    def missing(flavour: str) -> SimpleNamespace:
        raise TensorRtMissingError(f"the flavour {flavour} needs it: pip install tensorrt-rtx-cu13")

    monkeypatch.setattr(opening, "load_tensorrt", missing)
    with pytest.raises(EngineError, match="no plan of lite fp16"):
        opening.find_plan(lite, (384, 640), "fp16", GPU)
    assert "pip install tensorrt-rtx-cu13" in caplog.text


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        (("fp32", "int8", "fp16"), None, "fp16"),
        (("fp32", "int8"), None, "int8"),
        (("fp32",), None, "fp32"),
        (("fp32", "fp16"), "fp32", "fp32"),
        (("fp32", "fp16"), "int8", None),
        ((), None, None),
    ],
)
def test_which_precision_is_taken(
    lite: Weights, cache_plan: Cache, there: tuple[str, ...], wanted: str | None, taken: str | None
) -> None:
    for precision in there:
        cache_plan(precision=precision)
    assert opening.has_plans(lite, None, GPU, wanted) == taken


def test_no_plan_says_how_to_build_one(lite: Weights, cache_plan: Cache) -> None:
    cache_plan(precision="fp32")
    with pytest.raises(EngineError, match=r"roadmask engine build --weights lite --precision fp16 --shape 384x640"):
        opening.find_plan(lite, (384, 640), "fp16", GPU)


@pytest.mark.usefixtures("gpu")
class TestAuto:
    def test_takes_a_plan_and_says_so(
        self, cache_plan: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache_plan()
        opened: list[str] = []
        monkeypatch.setattr(opening, "open_tensorrt", lambda *_, precision, **__: opened.append(precision))
        with caplog.at_level(logging.INFO, logger="roadmask"):
            load_segmenter(size="384x640")
        assert opened == ["fp16"]
        assert "engine tensorrt: there is a fp16 plan for Scripted sm89" in caplog.text

    def test_without_a_plan_the_cpu_and_a_warning(self, cache_plan: Cache, caplog: pytest.LogCaptureFixture) -> None:
        cache_plan(chip="sm120")
        assert isinstance(load_segmenter(size="384x640"), OpenVinoSegmenter)
        assert "the GPU Scripted sm89 is not used: no plan of lite; see roadmask engine build" in caplog.text

    def test_a_gpu_that_is_not_well_is_a_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_: str) -> Gpu:
            raise GpuMissingError("there is none")

        monkeypatch.setattr("roadmask.engines.gpu.device.describe_gpu", broken)
        assert isinstance(load_segmenter(size="384x640"), OpenVinoSegmenter)
        assert "the GPU is not used: there is none" in caplog.text


def test_asking_for_tensorrt_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(flavour: str) -> Gpu:
        raise GpuMissingError(f"{flavour} for this machine needs an NVIDIA GPU")

    monkeypatch.setattr(opening, "describe_gpu", none)
    with pytest.raises(GpuMissingError, match="needs an NVIDIA GPU"):
        load_segmenter(engine="tensorrt")
