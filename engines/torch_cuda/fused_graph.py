"""The network's graph for torch on a GPU, with fused operations that make fewer passes over memory.

Convolutions add their bias, the shortcut beside them and a ReLU while their result is still in registers (cuDNN's own
fusions), letterbox and RoIAlign are a kernel each, and `torch.compile` joins what is left between them. It needs
Triton, which comes with torch for NVIDIA GPUs on Linux, and a C compiler, which Triton needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.resnet import Bottleneck

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_io import Inputs
from roadmask.engines.torch_cuda import triton_kernels

_ALIGNED_CHANNELS = 8
"""cuDNN fuses convolutions on tensor cores alone, which take channels by eights."""
_SCORES_OFF_MAX = 0.01
"""Of an image's best detections, on average: rounding exchanges a few, what a compiler got wrong changes all."""


class FusedGraph(GpuGraph):
    """See `GpuGraph`, whose arguments and results it has."""

    def _simplify(self, model: MaskRCNN) -> None:
        super()._simplify(model)
        if self.dtype == torch.float16:  # cuDNN fuses in half alone
            fuse_convolutions(model)

    def compile_find(self) -> None:
        """Has torch compile all that follows `pixels`, for this shape and batch, on the device where the graph is.

        Raises:
            EngineError: what was compiled gives something else than what it was compiled from.
        """
        given = self.example_inputs()._replace(score_min=torch.zeros(1, device=self._mean.device))
        random = torch.Generator().manual_seed(0)
        coarse = torch.randint(0, 256, (self.batch, 3, 8, 8), dtype=torch.uint8, generator=random)
        blots = F.interpolate(coarse, self.shape).permute(0, 2, 3, 1).to(given.frames.device)
        pixels = self.pixels(given._replace(frames=blots))
        expected = self.find(pixels, *given[5:])
        # Where inductor pads strides, the network finds other things (torch 2.11, see docs/measurements/gpu.md).
        strides: dict[str, Any] = {"comprehensive_padding": False, "shape_padding": False}
        compiled = torch.compile(self.find, fullgraph=True, dynamic=False, options=strides)
        found = compiled(pixels, *given[5:])
        off = float((found.scores - expected.scores).abs().mean())
        if off > _SCORES_OFF_MAX:
            raise EngineError(f"compiled, the network's scores are off by {off:.3f} on average")
        self.find = compiled  # type: ignore[method-assign]

    def pixels(self, inputs: Inputs) -> Tensor:
        """See `GpuGraph.pixels`."""
        mean, std = self._mean.flatten(), self._std.flatten()
        return triton_kernels.letterbox(inputs, mean, std, self.shape, self.dtype)

    def _pyramid(self, features: Sequence[Tensor]) -> list[Tensor]:
        return list(features)

    def _pool(self, pyramid: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
        return cast("Tensor", roi_align(list(pyramid), boxes, side))


def fuse_convolutions(model: nn.Module) -> int:
    """Joins in place convolutions with the ReLU that their parent lists right after them.

    Batch norms must have been folded. In a ResNet's block the shortcut's bias goes into the last convolution's, where
    both are added.

    Returns:
        How many were joined.
    """
    fused = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Bottleneck):
                setattr(parent, name, _FusedBottleneck(child))
                fused += 3
    for parent in list(model.modules()):
        before, name_before = parent, ""
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Identity):
                continue
            if isinstance(child, nn.ReLU) and _can_fuse(before):
                setattr(parent, name_before, _ConvolutionRelu(before))
                setattr(parent, name, nn.Identity())
                fused += 1
            before, name_before = child, name
    return fused


def _can_fuse(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    if not isinstance(layer, nn.Conv2d) or layer.bias is None:
        return False
    return layer.groups == 1 and layer.in_channels % _ALIGNED_CHANNELS == 0


class _ConvolutionRelu(nn.Module):
    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        return _joined(self.convolution, x, None)


class _FusedBottleneck(nn.Module):
    """A ResNet's block: three convolutions, and a shortcut that may have one of its own."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.first, self.second, self.third = block.conv1, block.conv2, block.conv3
        self.shortcut: nn.Conv2d | None = None
        if block.downsample is not None:
            self.shortcut = cast("nn.Conv2d", block.downsample[0])
            with torch.no_grad():
                cast("Tensor", self.third.bias).add_(cast("Tensor", self.shortcut.bias))
            self.shortcut.bias = None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return _joined(self.third, _joined(self.second, _joined(self.first, x, None), None), shortcut)


def _joined(layer: nn.Conv2d, x: Tensor, added: Tensor | None) -> Tensor:
    padding = cast("tuple[int, int]", layer.padding)
    bias = cast("Tensor", layer.bias)
    where = (list(layer.stride), list(padding), list(layer.dilation))
    return cast("Tensor", convolution_relu(x, layer.weight, bias, added, *where))


# The compiler takes what stands below as one step each, and believes what is said of shapes and strides.


@torch.library.custom_op("roadmask::convolution_relu", mutates_args=())
def convolution_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    added: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Returns relu(convolution + bias + what is added), NHWC in memory."""
    if not x.is_cuda:
        found = F.conv2d(x, weight, bias, stride, padding, dilation)
        found = found if added is None else found + added
        return found.relu().contiguous(memory_format=torch.channels_last)
    where = (stride, padding, dilation, 1)
    if added is None:
        joined: Tensor = torch.ops.aten.cudnn_convolution_relu(x, weight, bias, *where)
    else:
        joined = torch.ops.aten.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, *where)
    return joined.contiguous(memory_format=torch.channels_last)


@convolution_relu.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    _added: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    sides = [
        (x.shape[2 + axis] + 2 * padding[axis] - dilation[axis] * (weight.shape[2 + axis] - 1) - 1) // stride[axis] + 1
        for axis in range(2)
    ]
    return x.new_empty((x.shape[0], *sides, bias.shape[0])).permute(0, 3, 1, 2)


@torch.library.custom_op("roadmask::roi_align", mutates_args=())
def roi_align(pyramid: list[Tensor], boxes: Tensor, side: int) -> Tensor:
    """See `triton_kernels.roi_align`."""
    return triton_kernels.roi_align(pyramid, boxes, side)


@roi_align.register_fake
def _(pyramid: list[Tensor], boxes: Tensor, side: int) -> Tensor:
    count, channels = boxes.shape[0] * boxes.shape[1], pyramid[0].shape[1]
    return pyramid[0].new_empty((count, side, side, channels)).permute(0, 3, 1, 2)
