"""Kernels and joined convolutions against the graph that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from roadmask.engines.errors import EngineError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.folding import fold_batch_norms
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_io import Inputs, Outputs
from roadmask.engines.networks.graph_letterbox import GraphLetterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import build_model, load_model
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.roi_align import AtlasRoIAlign
from roadmask.engines.networks.weights import Architecture, Weights

NEEDS = "needs Triton, torch has it on Linux"
kernels = pytest.importorskip("roadmask.engines.torch_cuda.triton_kernels", reason=NEEDS)
fused_graph = pytest.importorskip("roadmask.engines.torch_cuda.fused_graph", reason=NEEDS)

SHAPE = (96, 128)


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # there Triton interprets, see conftest.py


@pytest.mark.parametrize("size", [(270, 480), (100, 40), (13, 301)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_letterbox_is_the_graphs_own_to_the_bit(size: tuple[int, int], dtype: torch.dtype) -> None:
    shape = (32, 64)
    frames = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plan = {name: torch.from_numpy(values) for name, values in vars(ResizePlan.of(Letterbox.fit(size, shape))).items()}
    inputs = Inputs(frames, *(plan.get(name, torch.zeros(1)) for name in Inputs._fields[1:]))
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    down, across = (inputs.rows, inputs.row_weights), (inputs.columns, inputs.column_weights)
    image = GraphLetterbox(shape)(frames, down, across, inputs.content)
    expected = ((image.float() - mean) / std).to(dtype).permute(0, 3, 1, 2)
    on_device = Inputs(*(each.to(DEVICE) for each in inputs))
    found = kernels.letterbox(on_device, mean.to(DEVICE), std.to(DEVICE), shape, dtype)
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.float32, 2e-5)])
def test_roi_align_samples_what_the_atlas_holds(side: int, dtype: torch.dtype, tolerance: float) -> None:
    random = torch.Generator().manual_seed(2)
    features = [
        torch.randn(2, 16, SHAPE[0] // stride, SHAPE[1] // stride, generator=random).to(dtype)
        for stride in (4, 8, 16, 32)
    ]
    corner = torch.rand(2, 8, 2, generator=random) * torch.tensor([128.0, 96.0]) - 10
    extent = torch.rand(2, 8, 2, generator=random) ** 3 * 600  # of every level, and beyond the image
    boxes = torch.cat((corner, corner + extent), dim=-1)
    boxes[0, 0] = 0  # as in an empty slot
    found = kernels.roi_align([each.to(DEVICE) for each in features], boxes.to(DEVICE), side)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    by_image = found.cpu().float().reshape(2, 8, 16, side, side)
    for image in range(2):
        own = [each[image : image + 1].float() for each in features]
        torch.testing.assert_close(
            by_image[image], AtlasRoIAlign(SHAPE)(own, boxes[image], side), rtol=0, atol=tolerance
        )


def outputs(model: nn.Module, pixels: Tensor) -> list[Tensor]:
    features = list(model.backbone(pixels).values())  # type: ignore[union-attr, operator]
    heads = model.roi_heads
    return [*features, *model.rpn.head(features)[0], heads.mask_head(features[0])]  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(("architecture", "joined"), [(Architecture.RESNET50, 53), (Architecture.LITE, 5)])
def test_joined_convolutions_are_those_they_were(architecture: Architecture, joined: int) -> None:
    torch.manual_seed(0)
    model = build_model(architecture)
    with torch.inference_mode():
        for layer in model.modules():  # biases that a wrong place would show
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.normal_()
        fold_batch_norms(model)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.add_(torch.randn_like(layer.bias) * 0.1)
        pixels = torch.randn(2, 3, 64, 96)
        expected = outputs(model, pixels)
        assert fused_graph.fuse_convolutions(model) == joined
        found = outputs(model, pixels)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def test_what_is_said_of_shapes_to_the_compiler_is_so() -> None:
    x = torch.randn(2, 8, 15, 22)
    weight, bias = torch.randn(16, 8, 3, 3), torch.randn(16)
    for stride, padding, dilation in (([1, 1], [1, 1], [1, 1]), ([2, 2], [0, 1], [1, 1]), ([2, 1], [3, 3], [2, 2])):
        arguments = (x, weight, bias, None, stride, padding, dilation)
        torch.library.opcheck(fused_graph.convolution_relu, arguments, test_utils=("test_schema", "test_faketensor"))


class Unfused(fused_graph.FusedGraph):
    """Without the kernels, which take long to interpret."""

    pixels = GpuGraph.pixels
    _pyramid = GpuGraph._pyramid
    _pool = GpuGraph._pool


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_what_was_compiled_runs_if_it_finds_the_same(
    lite: Weights, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compiler(find: Callable[..., Outputs], **_: object) -> Callable[..., Outputs]:
        def run(*given: Tensor) -> Outputs:
            found = find(*given)
            compiled.append(found)
            return found._replace(scores=found.scores - wrong)

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    with torch.inference_mode():
        graph = Unfused(load_model(lite), (64, 96), 2, GraphSettings(proposals=16, detections=8)).eval()
        given = graph.example_inputs()
        if wrong:
            with pytest.raises(EngineError, match=r"scores are off by 0\.1"):
                graph.compile_find()
        else:
            graph.compile_find()
        assert float(compiled[0].scores.min()) > 0  # there was something to compare
        graph(*given)
    assert len(compiled) == (1 if wrong else 2)
