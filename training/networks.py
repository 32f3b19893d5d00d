"""The network to train, and the weights it starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.ops.poolers import LevelMapper, MultiScaleRoIAlign

from roadmask.engines.errors import ConfigError
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.weights import Architecture, Weights

FROZEN_BLOCKS = {Architecture.LITE: 4, Architecture.LITE2: 4, Architecture.RESNET50: 0, Architecture.RESNET50_V2: 0}
"""Blocks at the start of a body that keep their weights: edges and colours are the same in every street."""
_FRESH_HEADS = ("rpn.", "roi_heads.", "backbone.fpn.")


def build_network(weights: Weights, *, fresh_heads: bool = False, seed: int = 0) -> MaskRCNN:
    """Returns a network in training mode.

    Args:
        weights: what it starts from.
        fresh_heads: start FPN, RPN and heads from random numbers, and keep the body alone.
        seed: of these random numbers.

    Raises:
        WeightsError: the weights do not fit their architecture.
    """
    torch.manual_seed(seed)
    model = load_model(weights)
    if fresh_heads:
        for name, module in model.named_modules():
            if f"{name}.".startswith(_FRESH_HEADS) and isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
                _reset(name, module)
    for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        fix_scales(pool)
    freeze(model, weights.architecture)
    model.train()
    return model


def fix_scales(pool: MultiScaleRoIAlign) -> None:
    """Sets the strides of an RoIAlign, which torchvision guesses from the first image's size."""
    pool.scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    pool.map_levels = LevelMapper(2, 5)


def freeze(model: MaskRCNN, architecture: Architecture) -> None:
    """Freezes the first blocks of the body; frozen weights take no gradient and are not in the optimizer."""
    blocks = FROZEN_BLOCKS[architecture]
    for name, parameter in model.backbone.body.named_parameters():
        first = name.split(".", 1)[0]
        if first.isdigit() and int(first) < blocks:
            parameter.requires_grad_(False)


def label_of(weights: Weights, category_ids: Sequence[int]) -> dict[int, int]:
    """Returns the model's label of each category id.

    Raises:
        ConfigError: the weights have no output for one of them.
    """
    labels = {category: label for label, category in enumerate(weights.category_ids) if category}
    unknown = [category for category in category_ids if category not in labels]
    if unknown:
        raise ConfigError(
            f"the weights {weights.name} have no output for the category ids {unknown}: they know {sorted(labels)}."
        )
    return labels


def _reset(name: str, module: nn.Conv2d | nn.Linear | nn.ConvTranspose2d) -> None:
    small = name.endswith(("cls_logits", "bbox_pred", "cls_score"))
    if small:  # as torchvision starts the RPN: everything is background until something is learnt
        nn.init.normal_(module.weight, std=0.01)
    else:
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    if module.bias is not None:
        nn.init.zeros_(module.bias)
