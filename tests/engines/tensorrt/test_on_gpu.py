"""The contract of every engine on a GPU: skipped without one, unless FAIL_WITHOUT_CUDA=1 says there must be one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from roadmask.engines import EngineError, Image, Segmenter
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.errors import BuildError, TensorRtMissingError
from roadmask.engines.networks.typed_onnx import typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.build import Target, build_plan
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.device import describe_gpu
from roadmask.engines.tensorrt.runner import LoadedPlan
from roadmask.engines.tensorrt.segmenter import TensorRtSegmenter
from roadmask.engines.tensorrt.tensorrt_module import FLAVOURS, Flavour, load_tensorrt
from roadmask.engines.torch_cuda.segmenter import TorchCudaSegmenter
from support.segmenter_contract import PortraitContract

SHAPE = (384, 640)


def need_gpu(flavour: str) -> None:
    """Skips where there is no GPU; under FAIL_WITHOUT_CUDA=1 the test fails and says what is missing."""
    if os.environ.get("FAIL_WITHOUT_CUDA") == "1":
        describe_gpu(flavour)
    elif not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")


class TestTorchCuda(PortraitContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        need_gpu("torch-cuda")
        return TorchCudaSegmenter(
            lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, precision="fp16", batches=(2,)
        )


def installed() -> list[Flavour]:
    """At least one, so that the tests fail and say what is missing where none is."""
    found: list[Flavour] = []
    for flavour in FLAVOURS:
        try:
            load_tensorrt(flavour)
        except TensorRtMissingError:
            continue
        found.append(flavour)
    return found or ["tensorrt"]


class TestTensorRt(PortraitContract):
    @pytest.fixture(scope="class", params=installed())
    @staticmethod
    def segmenter(lite: Weights, request: pytest.FixtureRequest) -> Iterator[Segmenter]:
        flavour: Flavour = request.param
        need_gpu(flavour)
        try:
            content = build_plan(typed_onnx(lite, SHAPE, 4, "fp16"), Target(flavour, "here"), 4, SHAPE)
        except BuildError as error:
            if flavour == "tensorrt-rtx":
                pytest.skip(f"needs a CUDA GPU that TensorRT for RTX builds for: {error}")
            raise
        plan = LoadedPlan.of(content, load_tensorrt(flavour))
        segmenter = TensorRtSegmenter(
            lite,
            LITE_CATEGORY_IDS,
            {SHAPE: {4: lambda: plan}},
            Cuda(),
            precision="fp16",
            score_min=0.05,
            input_size=SHAPE,
        )
        yield segmenter
        segmenter.close()

    # The profile of a plan ends at 3840.
    @pytest.mark.parametrize("size", [(1, 1), (1, 3840), (7, 13), (1080, 1920)])
    def test_any_size(self, segmenter: Segmenter, size: tuple[int, int]) -> None:
        super().test_any_size(segmenter, size)

    def test_frames_that_are_too_large_are_an_error(self, segmenter: Segmenter, portrait: Image) -> None:
        with pytest.raises(EngineError, match="shrink them to at most"):
            segmenter([portrait.repeat(9, axis=1)])
