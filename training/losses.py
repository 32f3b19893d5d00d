"""The losses of Mask R-CNN (He et al., 2017), each label weighted by how far it is trusted.

torchvision's modules compute everything but two things that they have no place for: a label's weight, and regions in
which what is found is neither right nor wrong. Anchors and proposals that lie in such a region and match no object
count as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.models.detection.rpn import concat_box_prediction_layers

from roadmask.training.augment import View

IGNORED_SHARE = 0.5
"""A box that lies in ignored regions by more than this share and matches no object counts as nothing."""
LOSSES = ("objectness", "rpn_box", "classifier", "box", "mask")
"""In the order in which they are summed."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Views as the network takes them."""

    images: Tensor
    """float (B, 3, H, W), normalised."""
    targets: list[dict[str, Tensor]]
    """For each view: boxes (N, 4), labels (N,) of the model, masks (N, H, W) uint8, weights (N,)."""
    ignored: list[Tensor]
    """For each view: (H + 1, W + 1) sums of ignored pixels above and left of each corner."""


def make_batch(
    views: Sequence[View], label_of: dict[int, int], mean: Tensor, std: Tensor, device: torch.device
) -> Batch:
    """Returns a batch of views.

    Args:
        views: of one size.
        label_of: COCO category id -> the model's label.
        mean: (3,) of the pixels, 0 to 1.
        std: (3,) of the pixels.
        device: where the network is.
    """
    pixels = torch.from_numpy(np.stack([view.image for view in views])).to(device).permute(0, 3, 1, 2).float() / 255
    images = (pixels - mean.to(device)[:, None, None]) / std.to(device)[:, None, None]
    targets = [
        {
            "boxes": torch.from_numpy(view.boxes).to(device),
            "labels": torch.tensor(
                [label_of[int(each)] for each in view.category_ids], dtype=torch.int64, device=device
            ),
            "masks": torch.from_numpy(view.masks.astype(np.uint8)).to(device),
            "weights": torch.from_numpy(view.weights).to(device),
        }
        for view in views
    ]
    ignored = []
    for view in views:
        sums = np.zeros((view.ignored.shape[0] + 1, view.ignored.shape[1] + 1), np.float32)
        sums[1:, 1:] = view.ignored.cumsum(axis=0, dtype=np.float32).cumsum(axis=1, dtype=np.float32)
        ignored.append(torch.from_numpy(sums).to(device))
    return Batch(images.contiguous(memory_format=torch.channels_last), targets, ignored)


def mask_rcnn_losses(model: MaskRCNN, batch: Batch) -> dict[str, Tensor]:
    """Returns the five losses of a batch, see `LOSSES`.

    Args:
        model: in training mode; its draws of anchors and proposals come from torch's generator.
        batch: at least one view.
    """
    features = model.backbone(batch.images)
    sizes = [(int(batch.images.shape[2]), int(batch.images.shape[3]))] * len(batch.targets)
    proposals, objectness, rpn_box = _region_proposals(model, ImageList(batch.images, sizes), features, batch)
    losses = {"objectness": objectness, "rpn_box": rpn_box}
    return losses | _region_losses(model, features, proposals, sizes, batch)


def _region_proposals(
    model: MaskRCNN, images: ImageList, features: dict[str, Tensor], batch: Batch
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Torchvision's `RegionProposalNetwork.forward`, with anchors in ignored regions left out."""
    rpn = model.rpn
    levels = list(features.values())
    objectness, deltas = rpn.head(levels)
    anchors = rpn.anchor_generator(images, levels)
    per_level = [each[0].shape[0] * each[0].shape[1] * each[0].shape[2] for each in objectness]
    scores, deltas = concat_box_prediction_layers(objectness, deltas)
    scores, deltas = scores.float(), deltas.float()
    boxes = rpn.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
    proposals, _ = rpn.filter_proposals(boxes, scores.detach(), images.image_sizes, per_level)
    labels, matched = rpn.assign_targets_to_anchors(anchors, batch.targets)
    for each, image_anchors, sums in zip(labels, anchors, batch.ignored, strict=True):
        each[(each == 0) & (_ignored_share(image_anchors, sums) > IGNORED_SHARE)] = -1  # as between the thresholds
    objectness_loss, box_loss = rpn.compute_loss(scores, deltas, labels, rpn.box_coder.encode(matched, anchors))
    return proposals, objectness_loss, box_loss


def _region_losses(
    model: MaskRCNN,
    features: dict[str, Tensor],
    proposals: list[Tensor],
    sizes: list[tuple[int, int]],
    batch: Batch,
) -> dict[str, Tensor]:
    heads = model.roi_heads
    proposals, matched, labels, targets = heads.select_training_samples(proposals, batch.targets)
    logits, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, proposals, sizes)))
    weights = torch.cat(
        [
            _proposal_weights(*each)
            for each in zip(proposals, matched, labels, batch.targets, batch.ignored, strict=True)
        ]
    )
    flat_labels, flat_targets = torch.cat(labels), torch.cat(targets)
    classifier = (F.cross_entropy(logits.float(), flat_labels, reduction="none") * weights).sum() / weights.sum().clamp(
        min=1
    )
    positive = torch.where(flat_labels > 0)[0]
    chosen = deltas.float().reshape(len(flat_labels), -1, 4)[positive, flat_labels[positive]]
    error = F.smooth_l1_loss(chosen, flat_targets[positive], beta=1 / 9, reduction="none").sum(dim=1)
    box = (error * weights[positive]).sum() / max(len(flat_labels), 1)
    return {
        "classifier": classifier,
        "box": box,
        "mask": _mask_loss(model, features, proposals, matched, labels, sizes, batch),
    }


def _mask_loss(
    model: MaskRCNN,
    features: dict[str, Tensor],
    proposals: list[Tensor],
    matched: list[Tensor],
    labels: list[Tensor],
    sizes: list[tuple[int, int]],
    batch: Batch,
) -> Tensor:
    heads = model.roi_heads
    positive = [torch.where(each > 0)[0] for each in labels]
    boxes = [each[rows] for each, rows in zip(proposals, positive, strict=True)]
    objects = [each[rows] for each, rows in zip(matched, positive, strict=True)]
    flat_labels = torch.cat([each[rows] for each, rows in zip(labels, positive, strict=True)])
    logits = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, boxes, sizes))).float()
    if not len(flat_labels):
        nothing: Tensor = logits.sum() * 0
        return nothing  # so that every step has a gradient for every weight
    truth = torch.cat(
        [
            project_masks_on_boxes(target["masks"], each, rows, logits.shape[-1])
            for target, each, rows in zip(batch.targets, boxes, objects, strict=True)
        ]
    )
    weights = torch.cat([target["weights"][rows] for target, rows in zip(batch.targets, objects, strict=True)])
    of_class = logits[torch.arange(len(flat_labels), device=logits.device), flat_labels]
    error = F.binary_cross_entropy_with_logits(of_class, truth, reduction="none").mean(dim=(1, 2))
    weighted: Tensor = (error * weights).sum() / weights.sum().clamp(min=1e-3)
    return weighted


def _proposal_weights(
    proposals: Tensor, matched: Tensor, labels: Tensor, target: dict[str, Tensor], ignored: Tensor
) -> Tensor:
    """Returns the weight of each proposal: its label's, 1 for the background, 0 for background in an ignored region."""
    background = (_ignored_share(proposals, ignored) <= IGNORED_SHARE).float()
    if not len(target["weights"]):
        return background
    return torch.where(labels > 0, target["weights"][matched], background)


def _ignored_share(boxes: Tensor, sums: Tensor) -> Tensor:
    """Returns the share of each box (N, 4) that lies in ignored regions, by their summed-area table."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    x = boxes[:, 0::2].round().clamp(0, width).long()
    y = boxes[:, 1::2].round().clamp(0, height).long()
    inside: Tensor = sums[y[:, 1], x[:, 1]] - sums[y[:, 0], x[:, 1]] - sums[y[:, 1], x[:, 0]] + sums[y[:, 0], x[:, 0]]
    area = (x[:, 1] - x[:, 0]) * (y[:, 1] - y[:, 0])
    share: Tensor = inside / area.clamp(min=1)
    return share
