"""Batch norms folded into the convolutions before them, in fp32: half precision would round their statistics."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops.misc import FrozenBatchNorm2d


def fold_batch_norms(model: nn.Module) -> int:
    """Folds in place every batch norm that its parent lists right after a convolution.

    That is the order in which torchvision's networks run them; a test compares the outputs.

    Returns:
        How many were folded.
    """
    folded = 0
    for parent in list(model.modules()):
        before: nn.Module | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.BatchNorm2d, FrozenBatchNorm2d)) and isinstance(before, nn.Conv2d):
                before.weight, before.bias = fuse_conv_bn_weights(
                    before.weight,
                    before.bias,
                    cast("Tensor", child.running_mean),
                    cast("Tensor", child.running_var),
                    child.eps,
                    child.weight,
                    child.bias,
                )
                setattr(parent, name, nn.Identity())
                folded += 1
            before = child
    return folded
