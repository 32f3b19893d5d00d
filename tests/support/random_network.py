"""Seeded random weights that behave like trained ones: what a network is compared on where trained weights are absent.

Untrained, a deep network says nearly the same everywhere: its scores tie to the last digits, and ranks would hang on
rounding. So its frozen batch norms get the statistics that training would have given them, and the last layers are
centred and scaled until images have as many detections as a street has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.ops.misc import FrozenBatchNorm2d

from roadmask.engines.networks.models import build_model
from roadmask.engines.networks.weights import Architecture

_SIDE = 192
"""Of the squares that statistics are taken of; no network shape is smaller."""
_LOGIT_STEP = 1.25
_LOGIT_STEPS_MAX = 20
_NEVER = -30.0
"""Logit of an output that COCO left unused: a trained network never reports one."""


def random_network(architecture: Architecture, images: Sequence[Tensor], seed: int) -> MaskRCNN:
    """Returns a network whose outputs spread over these letterboxed uint8 (1, H, W, 3) images like a trained one's."""
    torch.manual_seed(seed)
    model = build_model(architecture)
    with torch.inference_mode():
        norms = [module for module in model.modules() if isinstance(module, FrozenBatchNorm2d)]
        hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
        features = _features(model, torch.cat([_square(image) for image in images]))
        for hook in hooks:
            hook.remove()
        objectness, deltas = model.rpn.head(list(features.values()))
        _spread(model.rpn.head.cls_logits, _rows(objectness), 2.0)
        _spread(model.rpn.head.bbox_pred, _rows(deltas), 0.2)
        boxes = torch.tensor(
            [[x, y, x + side, y + side] for side in (32.0, 90.0) for x in (0, 50, 100) for y in (0, 90)]
        )
        pooled = model.roi_heads.box_roi_pool(features, [boxes] * len(images), [(_SIDE, _SIDE)] * len(images))
        logits, deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
        _spread(model.roi_heads.box_predictor.cls_score, logits, 0.5)
        _spread(model.roi_heads.box_predictor.bbox_pred, deltas, 0.5)
        head = model.roi_heads.mask_predictor
        pooled = model.roi_heads.mask_roi_pool(features, [boxes] * len(images), [(_SIDE, _SIDE)] * len(images))
        # So little that a cell differs from the next about as much as at the outline of a trained network's mask: on
        # white noise a box off by a hundredth of a pixel would show.
        _spread(head.mask_fcn_logits, _rows([head(model.roi_heads.mask_head(pooled))]), 0.5)
        unused = [output for output, category in enumerate(architecture.category_ids) if output and not category]
        model.roi_heads.box_predictor.cls_score.weight[unused] = 0
        model.roi_heads.box_predictor.cls_score.bias[unused] = _NEVER
    return model


def sharpen_classes(model: MaskRCNN, seen: Sequence[Seen], at_least: int) -> int:
    """Scales the class logits until every image has so many detections; returns the fewest that any has.

    Args:
        model: its score threshold and number of detections count.
        seen: of each image.
        at_least: detections.
    """
    fewest = 0
    for step in range(_LOGIT_STEPS_MAX):
        scale = _LOGIT_STEP**step
        fewest = min(
            len(model.roi_heads.postprocess_detections(s.logits * scale, s.deltas, [s.proposals], [s.size])[1][0])
            for s in seen
        )
        if fewest >= at_least:
            with torch.no_grad():
                for parameter in model.roi_heads.box_predictor.cls_score.parameters():
                    parameter.mul_(scale)
            break
    return fewest


@dataclass(frozen=True)
class Seen:
    """What passed the box head of a network."""

    size: tuple[int, int]
    """Height and width of the content."""
    proposals: Tensor
    """(K, 4)."""
    logits: Tensor
    """(K, classes)."""
    deltas: Tensor
    """(K, classes * 4)."""


@contextmanager
def watched(model: MaskRCNN) -> Iterator[list[Seen]]:
    """Collects what passes the box head while images run through a network, one at a time."""
    seen: list[Seen] = []
    inputs: list[tuple[Tensor, tuple[int, int]]] = []

    def before(_heads: nn.Module, arguments: tuple[Any, ...]) -> None:
        _, [proposals], [size], *_ = arguments
        inputs.append((proposals, size))

    def after(_predictor: nn.Module, _arguments: tuple[Any, ...], outputs: tuple[Tensor, Tensor]) -> None:
        proposals, size = inputs[-1]
        seen.append(Seen(size, proposals, *outputs))

    hooks = (
        model.roi_heads.register_forward_pre_hook(before),
        model.roi_heads.box_predictor.register_forward_hook(after),
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _features(model: MaskRCNN, images: Tensor) -> dict[str, Tensor]:
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.transform.image_mean, model.transform.image_std))
    features: dict[str, Tensor] = model.backbone((images.permute(0, 3, 1, 2) / 255 - mean) / std)
    return features


def _square(image: Tensor) -> Tensor:
    return image[:, :_SIDE, :_SIDE]


def _take_statistics(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance.clamp(min=1e-6))


def _rows(levels: Sequence[Tensor]) -> Tensor:
    """Maps of (N, C, H, W) -> (all their cells, C)."""
    return torch.cat([level.permute(0, 2, 3, 1).reshape(-1, level.shape[1]) for level in levels])


def _spread(layer: nn.Module, outputs: Tensor, deviation: float) -> None:
    """Centres each of a layer's outputs and gives them this standard deviation."""
    scale = deviation / outputs.std(0)
    layer.bias.sub_(outputs.mean(0)).mul_(scale)
    layer.weight.mul_(scale.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
