"""Adds heads for classes that a network does not know; all others stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from roadmask.engines.errors import InputError
from roadmask.engines.files import replacing
from roadmask.engines.networks.models import build_model, load_model
from roadmask.engines.networks.weights import Weights, find_weights

_PREDICTORS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
_SCALE = 0.01
"""Standard deviation of new weights, as torchvision starts the RPN."""


def with_added_classes(weights: Weights, classes: Mapping[int, str], path: Path, seed: int) -> Weights:
    """Returns weights with further outputs, from a file that it writes.

    Args:
        weights: what they are added to.
        classes: category id -> name of the classes to learn; those that the weights know are not added again.
        path: of the file, a .safetensors.
        seed: of the weights of new outputs; equal arguments give equal bytes.

    Raises:
        InputError: a category id has another name in the weights.
        OSError: the file cannot be written.
    """
    known = weights.class_names
    for category, name in classes.items():
        if known.get(category, name) != name:
            raise InputError(
                f"the category id {category} is {known[category]} in {weights.name} and {name} in the labels: give the "
                "class another id in set.toml."
            )
    added = tuple(sorted((category, name) for category, name in classes.items() if category not in known))
    if not added:
        return weights
    every = (*weights.added_classes, *added)
    state = load_model(weights).state_dict()
    grown = build_model(weights.architecture, len(weights.category_ids) + len(added)).state_dict()
    generator = torch.Generator().manual_seed(seed)
    for name, value in state.items():
        if not name.startswith(_PREDICTORS) or grown[name].shape == value.shape:
            grown[name] = value
            continue
        # Rows of an output lie together: one for its score and mask, four for its box. The background comes first.
        rows = grown[name].shape[0] - value.shape[0]
        grown[name] = torch.cat([value, _new_rows(name, value, rows, generator)])
    about = {
        "architecture": weights.architecture.value,
        "from_sha256": weights.sha256,
        "added_classes": [list(each) for each in every],
    }
    with replacing(path, sync=True) as partial:
        tensors = {name: each.contiguous() for name, each in grown.items()}
        save_file(tensors, partial, {"roadmask": json.dumps(about, sort_keys=True)})
    return find_weights(path)


def _new_rows(name: str, value: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    """Returns rows that begin like an unlikely class, so that the others answer as before."""
    if value.dim() == 1:
        foreground = value[1:] if name.endswith("cls_score.bias") else torch.zeros(1)
        return foreground.min().expand(rows).clone()
    return torch.randn(rows, *value.shape[1:], generator=generator) * _SCALE
