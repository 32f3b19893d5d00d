"""Which engine is chosen where there is a GPU, and which of the cached plans it runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roadmask.engines import EngineError, choosing, load_segmenter
from roadmask.engines.errors import ConfigError, GpuMissingError, TensorRtMissingError
from roadmask.engines.networks.weights import Weights
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.segmenter import Precision
from roadmask.engines.tensorrt import opening
from roadmask.engines.tensorrt.device import Gpu
from roadmask.engines.tensorrt.plans import RECIPE, PlanKey, find_or_build
from roadmask.engines.torch_cuda import segmenter as torch_cuda

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
        shape: str = "384x640",
        recipe: int = RECIPE,
    ) -> None:
        digest = hashlib.sha256(onnx).hexdigest()
        key = PlanKey(digest, "lite", "tensorrt-rtx", version, chip, driver, precision, shape, batch, recipe)
        find_or_build(key, lambda: b"plan")

    return put


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choosing, "_NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr("roadmask.engines.tensorrt.device.describe_gpu", lambda _: GPU)
    monkeypatch.setattr(choosing, "torch_sees_cuda", lambda: False)
    monkeypatch.setattr(opening, "describe_gpu", lambda _: GPU)


def batches(found: opening.FoundPlans) -> dict[tuple[int, int], list[int]]:
    return {shape: sorted(by_batch) for shape, by_batch in found.usable.items()}


def test_every_plan_that_runs_here_is_found(lite: Weights, cache_plan: Cache) -> None:
    cache_plan(batch=1)
    cache_plan(batch=4)
    cache_plan(batch=2, shape="640x384")
    cache_plan(batch=8, chip="sm120")
    cache_plan(batch=32, onnx=b"other weights")
    assert batches(opening.find_plans(lite, (384, 640), "fp16", GPU)) == {(384, 640): [1, 4]}
    assert batches(opening.find_plans(lite, None, "fp16", GPU)) == {(384, 640): [1, 4], (640, 384): [2]}
    cache_plan(shape="736x1280")
    assert (736, 1280) not in opening.find_plans(lite, None, "fp16", GPU).usable, "usual shapes come first"
    cache_plan(batch=4, chip=GPU.chip, driver=GPU.driver)
    tuned = opening.find_plans(lite, (384, 640), "fp16", GPU).usable[384, 640][4]
    assert tuned.key.driver == GPU.driver, "what was built here was tuned here"


def test_a_plan_of_an_unusual_shape_serves_where_there_is_no_other(lite: Weights, cache_plan: Cache) -> None:
    cache_plan(batch=1, shape="736x1280")
    cache_plan(batch=4, shape="736x1280")
    assert batches(opening.find_plans(lite, None, "fp16", GPU)) == {(736, 1280): [1, 4]}
    assert not opening.find_plans(lite, (384, 640), "fp16", GPU).usable


def test_plans_that_cannot_run_any_more_are_left_out_with_the_reason(
    lite: Weights, cache_plan: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_plan(batch=2, version="1.6")
    cache_plan(batch=4, onnx=b"other weights")
    cache_plan(batch=8, chip=GPU.chip, driver="12.0")
    cache_plan(batch=16, recipe=1)
    cache_plan(batch=32, chip="sm120", version="1.6")
    cache_plan(batch=1)
    found = opening.find_plans(lite, (384, 640), "fp16", GPU)
    assert batches(found) == {(384, 640): [1]}
    assert len(found.left_out) == 4, "a plan for another GPU is as it should be"
    said = "\n".join(found.left_out)
    assert "tensorrt-rtx 1.6 built it, 1.7 is installed; build it again" in said
    assert "of another graph or other weights; build it again" in said
    assert "under a driver for CUDA 12.0, here is one for 13.0; build it again" in said
    assert "another roadmask built it" in said

    def no_ranges(*_: object) -> Path:
        raise ConfigError("int8 needs ranges")

    with monkeypatch.context() as patch:
        patch.setattr(opening, "typed_onnx", no_ranges)
        found = opening.find_plans(lite, (384, 640), "fp16", GPU)
    assert not found.usable
    assert any("is left out: int8 needs ranges" in reason for reason in found.left_out)

    def missing(flavour: str) -> SimpleNamespace:
        raise TensorRtMissingError(f"the flavour {flavour} needs it: pip install tensorrt-rtx-cu13")

    monkeypatch.setattr(opening, "load_tensorrt", missing)
    found = opening.find_plans(lite, (384, 640), "fp16", GPU)
    assert not found.usable
    assert any("pip install tensorrt-rtx-cu13" in reason for reason in found.left_out)


def test_a_damaged_manifest_is_passed_over(lite: Weights, cache_plan: Cache, tmp_path: Path) -> None:
    cache_plan(batch=1)
    (tmp_path / "cache" / "plans" / "0.json").write_text("{")
    found = opening.find_plans(lite, (384, 640), "fp16", GPU)
    assert batches(found) == {(384, 640): [1]}
    [damaged] = found.left_out
    assert "is no manifest that roadmask wrote" in damaged


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        (("fp32", "int8", "fp16"), "auto", "fp16"),
        (("fp32", "int8"), "auto", "int8"),
        (("fp32",), "auto", "fp32"),
        (("fp32", "fp16"), "fp32", "fp32"),
        (("fp32", "fp16"), "int8", None),
        ((), "auto", None),
    ],
)
def test_which_precision_is_taken(
    lite: Weights, cache_plan: Cache, there: tuple[str, ...], wanted: str, taken: str | None
) -> None:
    for precision in there:
        cache_plan(precision=precision)
    assert opening.choose_precision(lite, None, GPU, wanted) == (taken, [])


def test_a_precision_whose_plans_are_stale_is_not_taken(lite: Weights, cache_plan: Cache) -> None:
    cache_plan(version="1.6")
    cache_plan(precision="fp32")
    taken, left_out = opening.choose_precision(lite, None, GPU)
    assert taken == "fp32"
    assert len(left_out) == 1


@pytest.mark.usefixtures("gpu")
def test_no_plan_says_how_to_build_one(lite: Weights, cache_plan: Cache, caplog: pytest.LogCaptureFixture) -> None:
    cache_plan(precision="fp32")
    cache_plan(version="1.6")
    with pytest.raises(EngineError, match="lite --precision fp16 --batch 1,4 --input-size 384x640"):
        load_segmenter(engine="tensorrt", input_size="384x640")
    assert "tensorrt-rtx 1.6 built it" in caplog.text


@pytest.mark.usefixtures("gpu")
class TestAuto:
    def test_takes_a_plan_and_says_so(
        self, cache_plan: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache_plan()
        opened: list[str] = []
        monkeypatch.setattr(opening, "open_segmenter", lambda *given: opened.append(given[2].precision))
        with caplog.at_level(logging.INFO, logger="roadmask"):
            load_segmenter(input_size="384x640")
        assert opened == ["fp16"]
        assert "engine tensorrt: there is a fp16 plan for Scripted sm89" in caplog.text

    def test_without_a_plan_the_cpu_and_a_warning(self, cache_plan: Cache, caplog: pytest.LogCaptureFixture) -> None:
        cache_plan(chip="sm120")
        assert isinstance(load_segmenter(input_size="384x640"), OpenVinoSegmenter)
        said = "the GPU is not used: no plan of lite for Scripted sm89; see roadmask engine build"
        assert said in caplog.text

    @pytest.mark.parametrize("stale", [{"version": "1.6"}, {"onnx": b"other weights"}, {"shape": "640x384"}])
    def test_a_plan_that_cannot_be_used_here_is_the_same_as_none(
        self, cache_plan: Cache, stale: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        cache_plan(**stale)
        assert isinstance(load_segmenter(input_size="384x640"), OpenVinoSegmenter)
        assert "the GPU is not used: no plan of lite for Scripted sm89" in caplog.text
        assert ("is left out: " in caplog.text) == ("shape" not in stale)

    @pytest.mark.parametrize(("precision", "taken"), [("auto", "fp16"), ("fp32", "fp32")])
    def test_without_a_plan_torch_runs_on_the_gpu_and_says_why(
        self,
        precision: Precision,
        taken: str,
        cache_plan: Cache,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cache_plan(version="1.6", precision=taken)
        monkeypatch.setattr(choosing, "torch_sees_cuda", lambda: True)
        opened: list[str] = []
        monkeypatch.setattr(torch_cuda, "TorchCudaSegmenter", lambda *_, precision, **__: opened.append(precision))
        with caplog.at_level(logging.INFO, logger="roadmask"):
            load_segmenter(input_size="384x640", precision=precision)
        assert opened == [taken]
        assert "engine torch-cuda: no plan of lite" in caplog.text
        assert "tensorrt-rtx 1.6 built it, 1.7 is installed" in caplog.text

    def test_what_torch_does_not_know_goes_to_the_cpu(
        self, cache_plan: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache_plan(chip="sm120")
        monkeypatch.setattr(choosing, "torch_sees_cuda", lambda: True)
        assert isinstance(load_segmenter(input_size="384x640", precision="int8"), OpenVinoSegmenter)
        assert "the GPU is not used: no plan of lite int8 for Scripted sm89" in caplog.text

    def test_a_gpu_that_is_not_well_is_a_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_: str) -> Gpu:
            raise GpuMissingError("there is none")

        monkeypatch.setattr("roadmask.engines.tensorrt.device.describe_gpu", broken)
        assert isinstance(load_segmenter(input_size="384x640"), OpenVinoSegmenter)
        assert "the GPU is not used: there is none" in caplog.text


def test_asking_for_tensorrt_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(flavour: str) -> Gpu:
        raise GpuMissingError(f"{flavour} for this machine needs an NVIDIA GPU")

    monkeypatch.setattr(opening, "describe_gpu", none)
    with pytest.raises(GpuMissingError, match="needs an NVIDIA GPU"):
        load_segmenter(engine="tensorrt")
