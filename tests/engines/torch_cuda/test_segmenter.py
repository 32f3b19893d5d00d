"""The torch engine for GPUs: its steps, on the CPU; test_on_gpu.py runs it where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from roadmask.engines import Image, Segmenter, load_segmenter
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.errors import DeviceMemoryError, GpuMissingError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.frame_size_cache import SIZES_MAX
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights
from roadmask.engines.torch_cuda.captured_graph import CapturedGraph
from roadmask.engines.torch_cuda.segmenter import TorchCudaSegmenter
from roadmask.testing.segmenter_contract import same_bytes
from support.segmenter_contract import PortraitContract

SHAPE = (192, 160)


def build(lite: Weights, nms_steps: int = 16, batches: Sequence[int] = (2,)) -> TorchCudaSegmenter:
    return TorchCudaSegmenter(
        lite,
        LITE_CATEGORY_IDS,
        score_min=0.05,
        input_size=SHAPE,
        precision="fp32",
        batches=batches,
        settings=GraphSettings(proposals=32, detections=5, nms_steps=nms_steps),
        device="cpu",
    )


class TestOnCpu(PortraitContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def segmenter(lite: Weights) -> Segmenter:
        return build(lite)

    def test_nms_that_does_not_converge_at_once_ends_the_same(
        self, segmenter: Segmenter, lite: Weights, portrait: Image
    ) -> None:
        impatient = build(lite, nms_steps=2)
        for _ in range(2):  # the second starts from ones again
            [found], [expected] = impatient([portrait]), segmenter([portrait])
            np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=1e-2)
            np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)

    def test_sizes_that_were_not_asked_for_of_late_are_given_up(
        self, lite: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segmenter = build(lite)
        monkeypatch.setattr(segmenter, "_prepare", lambda *_: object())
        letterboxes = [Letterbox.fit((30, width), SHAPE) for width in range(20, 21 + SIZES_MAX)]
        captured = [segmenter.captured_for(each, 1) for each in letterboxes]
        assert segmenter.captured_for(letterboxes[-1], 2) is captured[-1]
        assert segmenter.captured_for(letterboxes[0], 1) is not captured[0]

    def test_a_call_takes_the_smallest_batch_that_holds_it_and_the_largest_again_and_again(
        self, lite: Weights, portrait: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segmenter, taken = build(lite, batches=(3, 1)), []
        run = CapturedGraph.run

        def recorded(graph: CapturedGraph, images: Sequence[Image]) -> object:
            taken.append((len(images), len(graph.frames)))
            return run(graph, images)

        monkeypatch.setattr(CapturedGraph, "run", recorded)
        [alone] = segmenter([portrait])
        found = segmenter([portrait] * 6)
        assert taken == [(1, 1), (3, 3), (3, 3)]
        taken.clear()
        segmenter.warm_up(portrait.shape[:2])
        assert taken == [(1, 1), (3, 3)]
        taken.clear()
        segmenter([portrait] * 4)
        segmenter([portrait] * 2)
        assert taken == [(3, 3), (1, 1), (2, 3)]
        for each in found:
            np.testing.assert_allclose(each.boxes, alone.boxes, rtol=0, atol=1e-2)
            np.testing.assert_allclose(each.scores, alone.scores, rtol=0, atol=1e-4)

    def test_a_gpu_that_is_full_is_said(
        self, segmenter: Segmenter, portrait: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")

        monkeypatch.setattr(CapturedGraph, "run", full)
        with pytest.raises(DeviceMemoryError, match=r"tried to allocate 2 GiB.: use a smaller batch or input size"):
            segmenter([portrait])

    def test_where_torch_cannot_compile_the_graph_runs_as_it_is_and_that_is_said(
        self, segmenter: Segmenter, lite: Weights, portrait: Image, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        uncompiled = build(lite)
        monkeypatch.setattr(uncompiled, "_compiles", True)
        asked = []

        def fails(shape: tuple[int, int], batch: int) -> None:
            asked.append((shape, batch))
            raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

        monkeypatch.setattr(uncompiled, "_compiled", fails)
        assert same_bytes(uncompiled([portrait])[0], segmenter([portrait])[0])
        assert same_bytes(uncompiled([portrait[::2]])[0], segmenter([portrait[::2]])[0])
        assert asked == [(SHAPE, 2)]
        [said] = [record.message for record in caplog.records]
        assert said.startswith("torch cannot compile the network here (Failed to find C compiler.): it runs uncompiled")

    def test_a_gpu_that_is_full_while_compiling_is_said(
        self, lite: Weights, portrait: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")

        compiling = build(lite)
        monkeypatch.setattr(compiling, "_compiles", True)
        monkeypatch.setattr(compiling, "_compiled", full)
        with pytest.raises(DeviceMemoryError, match="use a smaller batch or input size"):
            compiling([portrait])


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA GPU")
def test_without_a_gpu_it_says_what_else_there_is() -> None:
    with pytest.raises(GpuMissingError, match="choose the engine openvino"):
        load_segmenter(engine="torch-cuda")
