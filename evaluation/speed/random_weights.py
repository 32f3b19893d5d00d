"""Random weights, which take as much time as trained ones and need no download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN

from roadmask.engines.networks.models import build_model
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.engines.segmenter import Image

_SUFFIX = "-random"


def is_random(name: str) -> bool:
    """Returns whether a name asks for random weights."""
    return name in {kind.value + _SUFFIX for kind in Architecture}


def find_or_make_weights(name: str, folder: Path, image: Image) -> Weights:
    """Returns weights by name, or random ones of a network.

    Args:
        name: as `find_weights` takes it, or `lite-random`, `resnet50-random` or `resnet50_v2-random`.
        folder: folder in which random weights are written.
        image: see `write_random_weights`.

    Raises:
        WeightsError: they cannot be used.
    """
    if not is_random(name):
        return find_weights(name)
    path = folder / f"{name}.safetensors"
    write_random_weights(path, Architecture(name.removesuffix(_SUFFIX)), image)
    return replace(find_weights(path), name=name)


def write_random_weights(path: Path, architecture: Architecture, image: Image) -> None:
    """Writes seeded random weights that find about a dozen instances in a street image.

    Raw random outputs are either nearly equal or endless: the last layers are scaled to the spread of a trained
    network's.

    Args:
        path: of the .safetensors file.
        architecture: of the network.
        image: (H, W, 3), sides multiples of 32; what the spread is measured on.
    """
    torch.manual_seed(0)
    model = build_model(architecture)
    with torch.inference_mode():
        _spread_outputs(model, torch.from_numpy(image)[None])
        for label, category in enumerate(architecture.category_ids):
            if label and not category:  # COCO's numbers that name nothing: no engine may report them
                model.roi_heads.box_predictor.cls_score.bias[label] = _NEVER
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)


def _spread_outputs(model: MaskRCNN, image: Tensor) -> None:
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.transform.image_mean, model.transform.image_std))
    features = model.backbone((image.permute(0, 3, 1, 2) / 255 - mean) / std)
    logits, deltas = model.rpn.head(list(features.values()))
    _scale(model.rpn.head.cls_logits, torch.cat([level.flatten() for level in logits]), 2.0)
    _scale(model.rpn.head.bbox_pred, torch.cat([level.flatten() for level in deltas]), 0.1)
    corners = torch.stack(torch.meshgrid(torch.arange(0.0, 320, 40), torch.arange(0.0, 320, 40), indexing="xy"), -1)
    boxes = torch.cat((corners.reshape(-1, 2), corners.reshape(-1, 2) + 60), dim=1)
    pooled = model.roi_heads.box_roi_pool(features, [boxes], [tuple(image.shape[1:3])])
    logits, deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
    _scale(model.roi_heads.box_predictor.cls_score, logits - logits.mean(0), _CLASS_SPREAD)
    _scale(model.roi_heads.box_predictor.bbox_pred, deltas, 0.5)


_NEVER = -100.0
"""Class logit with a probability of about zero."""
_CLASS_SPREAD = 1.0
"""Standard deviation of the class logits over proposals."""


def _scale(layer: nn.Module, outputs: Tensor, deviation: float) -> None:
    for parameter in layer.parameters():
        parameter.mul_(deviation / outputs.std())
