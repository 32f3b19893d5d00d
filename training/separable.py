"""The start of lite2: lite's 3 x 3 convolutions, each replaced by the separable one whose answers are nearest.

A full kernel is far from separable: the nearest separable kernels keep about a fifth of its energy. What it answers on
real features is much closer to what a separable one can answer. So each pair is fitted to the answers, not to the
kernel (Zhang et al., "Accelerating Very Deep Convolutional Networks", 2015): least squares, weighted by the second
moments of what the layer sees, solved in turn for the 1 x 1 and for the depthwise kernels. Layers are fitted in their
order, each on what the separable layers before it give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN

from roadmask.engines.errors import InputError
from roadmask.engines.files import replacing
from roadmask.engines.networks.models import SeparableConvolution, build_model, load_model, wide_convolutions
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.training.augment import View
from roadmask.training.losses import make_batch
from roadmask.training.networks import fix_scales

VIEWS = 32
"""Number of views whose features are matched; with more of them the answers get no closer."""
_BATCH = 4
_POSITIONS = 4_000
"""Maximum number of positions of a feature map that are looked at, evenly spread."""
_ROUNDS = 12
_RIDGE = 1e-4
"""Share of the mean second moment that is added to each one, so that channels that never fire stay harmless."""


def separable_start(
    weights: Weights, view: Callable[[int], View], label_of: dict[int, int], path: Path, on_layer: Callable[[], None]
) -> Weights:
    """Returns weights of lite2 that answer like those of lite, from a file that it writes unless it exists.

    Args:
        weights: of lite.
        view: returns the view at a place, 0 to `VIEWS` - 1.
        label_of: the model's label of each COCO category id.
        path: of the file, a .safetensors.
        on_layer: called after each layer.

    Raises:
        InputError: the file was made from other weights.
        OSError: the file cannot be written.
    """
    if path.exists():
        with safe_open(path, framework="numpy") as file:
            made_from = json.loads((file.metadata() or {}).get("roadmask", "{}")).get("from_sha256")
        if made_from != weights.sha256:
            raise InputError(
                f"expected {path} to be made from weights {weights.sha256[:12]}, got {str(made_from)[:12]}: choose "
                "another --out, or give the same --from."
            )
        return find_weights(path)
    full, separable = load_model(weights), build_model(Architecture.LITE2)
    known = separable.state_dict()
    separable.load_state_dict({name: each for name, each in full.state_dict().items() if name in known}, strict=False)
    views = [view(place) for place in range(VIEWS)]
    mean, std = (torch.tensor(each) for each in (full.transform.image_mean, full.transform.image_std))
    batches = [
        make_batch(views[n : n + _BATCH], label_of, mean, std, torch.device("cpu")) for n in range(0, VIEWS, _BATCH)
    ]
    with torch.no_grad():
        _fit_layers(
            full,
            separable,
            [each.images for each in batches],
            [[t["boxes"] for t in b.targets] for b in batches],
            on_layer,
        )
    about = {"architecture": Architecture.LITE2.value, "from_sha256": weights.sha256}
    with replacing(path, sync=True) as partial:
        state = {name: each.contiguous() for name, each in separable.state_dict().items()}
        save_file(state, partial, {"roadmask": json.dumps(about, sort_keys=True)})
    return find_weights(path)


def _fit_layers(
    full: MaskRCNN,
    separable: MaskRCNN,
    images: Sequence[Tensor],
    boxes: Sequence[list[Tensor]],
    on_layer: Callable[[], None],
) -> None:
    original, fitted = wide_convolutions(full), wide_convolutions(separable)

    def fit(name: str, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Fits a block, and returns what it gives."""
        block = fitted[name]
        fit_separable(original[name][0], block[0], second_moments(inputs))
        on_layer()
        return [block(each) for each in inputs]

    pyramids = [_merged(full, each) for each in images]
    levels = range(len(pyramids[0]))
    maps = [fit(f"backbone.fpn.layer_blocks.{level}", [each[level] for each in pyramids]) for level in levels]
    fit("rpn.head.conv.0", [each for level in maps for each in level])
    pool = separable.roi_heads.mask_roi_pool
    fix_scales(pool)
    features = []
    for number, (batch, regions) in enumerate(zip(images, boxes, strict=True)):
        named = {str(level): maps[level][number] for level in levels}
        if sum(map(len, regions)):
            features.append(pool(named, regions, [(int(batch.shape[2]), int(batch.shape[3]))] * len(regions)))
    for number in range(len(separable.roi_heads.mask_head)):
        features = fit(f"roi_heads.mask_head.{number}", features)


def _merged(model: MaskRCNN, images: Tensor) -> list[Tensor]:
    """Returns what the 3 x 3 convolutions of the FPN take in, level by level: Lin et al., 2017, figure 3."""
    fpn = model.backbone.fpn
    below = list(model.backbone.body(images).values())
    merged = [fpn.inner_blocks[-1](below[-1])]
    for block, features in zip(reversed(fpn.inner_blocks[:-1]), reversed(below[:-1]), strict=True):
        lateral = block(features)
        merged.insert(0, lateral + functional.interpolate(merged[0], size=lateral.shape[-2:], mode="nearest"))
    return merged


def second_moments(inputs: Sequence[Tensor]) -> Tensor:
    """Returns the second moments (9 C, 9 C) of the 3 x 3 windows of feature maps (N, C, H, W), in float64.

    Raises:
        InputError: there is no map.
    """
    if not inputs:
        raise InputError("expected training images with objects, found none in the first views: give more images.")
    total = torch.zeros(1)
    for each in inputs:
        windows = functional.unfold(each, 3, padding=1).permute(0, 2, 1).flatten(0, 1)
        windows = windows[:: -(-len(windows) // _POSITIONS)].double()
        total = total + windows.T @ windows
    return total


def fit_separable(full: nn.Conv2d, separable: SeparableConvolution, moments: Tensor) -> float:
    """Sets a separable convolution so that it answers most like a full 3 x 3 one.

    Args:
        full: the convolution to follow, with weights (O, C, 3, 3) and biases (O).
        separable: the pair to set.
        moments: second moments (9 C, 9 C) of the windows that the layer sees.

    Returns:
        The share of the squared answers that is not explained, 0 to 1.
    """
    outputs, channels = full.weight.shape[:2]
    moments = moments / moments.diagonal().mean() + _RIDGE * torch.eye(len(moments), dtype=torch.float64)
    blocks = moments.reshape(channels, 9, channels, 9)
    kernel = full.weight.detach().double().flatten(1)
    wanted = (kernel @ moments).reshape(outputs, channels, 9)
    # the nearest separable kernel to start from
    _, sizes, right = torch.linalg.svd(kernel.reshape(outputs, channels, 9).permute(1, 0, 2), full_matrices=False)
    depthwise = right[:, 0] * sizes[:, :1].sqrt()
    for _ in range(_ROUNDS):
        gram = torch.einsum("ik,ikjl,jl->ij", depthwise, blocks, depthwise)
        across = torch.linalg.solve(gram, torch.einsum("oik,ik->io", wanted, depthwise)).T
        gram = ((across.T @ across)[:, None, :, None] * blocks).reshape(len(moments), -1)
        answer = torch.einsum("oi,oik->ik", across, wanted).flatten()
        depthwise = torch.linalg.solve(gram, answer).reshape(channels, 9)
    scale = depthwise.norm(dim=1).clamp(min=1e-12)
    error = kernel - (across[:, :, None] * depthwise).flatten(1)
    spatial, pointwise = separable[0], separable[1]
    spatial.weight.data = (depthwise / scale[:, None]).float().reshape(spatial.weight.shape)
    pointwise.weight.data = (across * scale).float().reshape(pointwise.weight.shape)
    pointwise.bias.data = cast("Tensor", full.bias).detach().clone()
    return float(torch.trace(error @ moments @ error.T) / torch.trace(kernel @ moments @ kernel.T))
