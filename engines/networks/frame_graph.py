"""The whole network as one graph: camera frames in, instances out, for a batch of frames of one size.

    uint8 frames -> resize and letterbox -> normalise -> [backbone, FPN, RPN head] -> best anchors -> NMS
        -> K proposals -> RoIAlign -> [box head] -> softmax -> NMS by class -> D detections -> RoIAlign -> [mask head]

The parts in brackets compute in `dtype`, all else in float32; each cast says why. It is static_graph.py with a batch
and without the pause in which the CPU engine counts detections: a GPU waits longer for a count than for empty slots.
Each image's numbers come from its own rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN

from roadmask.engines.networks.folding import fold_batch_norms
from roadmask.engines.networks.graph_io import Inputs, Outputs
from roadmask.engines.networks.graph_letterbox import GraphLetterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.nms import converge, suppression_matrix
from roadmask.engines.networks.static_graph import (
    BOX_SIDE,
    DETECTION_MIN_SIDE,
    MASK_SIDE_IN,
    NOTHING,
    PROPOSAL_MIN_SIDE,
    decode,
    is_larger,
)
from roadmask.engines.networks.static_network import StaticNetwork


class GpuGraph(StaticNetwork):
    """A torchvision Mask R-CNN for one network shape.

    Args:
        model: with its weights, in eval mode, fp32; it becomes the graph's own and is changed.
        shape: height and width of the network's input, multiples of 32.
        batch: frames of the example inputs; no shape inside hangs on it, so that an export may leave it open.
        settings: how many slots and steps.
        dtype: of the backbone, FPN and heads.
    """

    def __init__(
        self,
        model: MaskRCNN,
        shape: tuple[int, int],
        batch: int,
        settings: GraphSettings,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(model, shape, settings)
        self.batch, self.dtype = batch, dtype
        mean, std = self.pixel_statistics()
        self.register_buffer("_mean", mean * 255, persistent=False)
        self.register_buffer("_std", std * 255, persistent=False)
        self.letterbox = GraphLetterbox(shape)
        self._simplify(model)
        for part in self.reduced_parts:
            part.to(dtype)

    _mean: Tensor
    _std: Tensor

    def _simplify(self, model: MaskRCNN) -> None:
        """Joins layers, in place and in fp32, to fewer that give the same."""
        fold_batch_norms(model)

    @property
    def reduced_parts(self) -> tuple[nn.Module, ...]:
        """The networks proper, which compute in `dtype`."""
        heads = self.model.roi_heads
        boxes, masks = (heads.box_head, heads.box_predictor), (heads.mask_head, heads.mask_predictor)
        return (self.model.backbone, self.model.rpn.head, *boxes, *masks)

    def example_inputs(self, frame_size: tuple[int, int] | None = None) -> Inputs:
        """Returns black frames (of the network's own shape by default), all classes, NMS from the start."""
        (height, width), device = self.shape, self._mean.device
        weights = torch.tensor([[2048], [0]], dtype=torch.int32)
        inputs = Inputs(
            torch.zeros(self.batch, *(frame_size or self.shape), 3, dtype=torch.uint8),
            torch.arange(height, dtype=torch.int32).repeat(2, 1),
            weights.repeat(1, height),
            torch.arange(width, dtype=torch.int32).repeat(2, 1),
            weights.repeat(1, width),
            torch.tensor(self.shape, dtype=torch.float32),
            self.wanted_classes(),
            torch.tensor([0.05]),
            torch.ones(self.batch, *self._real_anchor.shape),
            torch.ones(self.batch, self.candidates),
        )
        return Inputs(*(each.to(device) for each in inputs))

    def forward(
        self,
        frames: Tensor,
        rows: Tensor,
        row_weights: Tensor,
        columns: Tensor,
        column_weights: Tensor,
        content: Tensor,
        classes: Tensor,
        score_min: Tensor,
        proposal_keep: Tensor,
        detection_keep: Tensor,
    ) -> Outputs:
        """Runs the graph; see `Inputs` and `Outputs`."""
        inputs = Inputs(
            frames,
            rows,
            row_weights,
            columns,
            column_weights,
            content,
            classes,
            score_min,
            proposal_keep,
            detection_keep,
        )
        return self.find(self.pixels(inputs), *inputs[5:])

    def pixels(self, inputs: Inputs) -> Tensor:
        """Returns the network's input (B, 3, H, W)."""
        down, across = (inputs.rows, inputs.row_weights), (inputs.columns, inputs.column_weights)
        image = self.letterbox(inputs.frames, down, across, inputs.content)
        # Normalised in fp32, since a byte in fp16 minus a mean in fp16 loses the last bit; then -3..3 is safe in half.
        pixels: Tensor = ((image.permute(0, 3, 1, 2).float() - self._mean) / self._std).to(self.dtype)
        if self.dtype != torch.float32:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return pixels

    def find(
        self,
        pixels: Tensor,
        content: Tensor,
        classes: Tensor,
        score_min: Tensor,
        proposal_keep: Tensor,
        detection_keep: Tensor,
    ) -> Outputs:
        """Runs what comes after `pixels`: nothing in it hangs on the size of the frames."""
        features = list(self.model.backbone(pixels).values())
        limits = content.flip(0).repeat(2)  # x, y, x, y
        proposals, is_proposal, proposal_keep, proposals_converged = self._propose(features, limits, proposal_keep)
        pyramid = self._pyramid(features[:4])
        pooled = self._pool(pyramid, proposals, BOX_SIDE)
        boxes, scores, labels, detection_keep, detections_converged = self._detect(
            pooled, proposals, is_proposal, limits, classes, score_min, detection_keep
        )
        return Outputs(
            boxes,
            scores,
            labels.to(torch.int32),  # half the bytes of the index that it is
            self._masks(self._pool(pyramid, boxes, MASK_SIDE_IN), labels),
            (scores > 0).sum(1).to(torch.int32),
            torch.minimum(proposals_converged, detections_converged),
            proposal_keep,
            detection_keep,
        )

    def _propose(self, features: Sequence[Tensor], limits: Tensor, keep: Tensor) -> tuple[Tensor, ...]:
        """Returns proposals (B, K, 4), which of them are real, and where NMS stopped and whether it converged."""
        rpn, rows = self.model.rpn, self._real_anchor.shape[1]
        objectness, deltas = rpn.head(list(features))
        best_logits, best_deltas, best_anchors, offset = [], [], [], 0
        levels = zip(objectness, deltas, self._level_counts, self._kept_counts, strict=True)
        for logits, level_deltas, total, kept in levels:
            # fp32 from here on, as boxes in half move by pixels: it counts above 1024 in whole pixels.
            values, indices = logits.permute(0, 2, 3, 1).flatten(1).float().topk(kept)
            missing = (0, rows - kept)
            indices = F.pad(indices, missing)
            best_logits.append(F.pad(values, missing, value=NOTHING))
            best_deltas.append(_pick(_anchor_major(level_deltas), indices).float())
            best_anchors.append(self._anchors[offset : offset + total][indices])
            offset += total
        boxes = decode(torch.stack(best_deltas, 1), torch.stack(best_anchors, 1), (1.0, 1.0, 1.0, 1.0), limits)
        active = self._real_anchor & is_larger(boxes, PROPOSAL_MIN_SIDE)
        keep, converged = self._converge(suppression_matrix(boxes, active, rpn.nms_thresh), keep)
        level_logits = torch.stack(best_logits, 1)
        ranks = torch.where((keep > 0.5) & active, level_logits, torch.full_like(level_logits, NOTHING))
        best, order = ranks.flatten(1).topk(self.proposals)
        is_proposal = best > NOTHING / 2
        proposals = _pick(boxes.flatten(1, 2), order) * is_proposal[..., None]
        return proposals, is_proposal, keep, converged

    def _pyramid(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Returns what `_pool` samples of P2 to P5: here one image, the atlas."""
        # float32, since half resolves -1..1 to an eighth of a pixel of the atlas, and grid_sample wants one type.
        return [self.roi_align.atlas(features).float()]

    def _pool(self, pyramid: Sequence[Tensor], boxes: Tensor, side: int) -> Tensor:
        """Returns (B * N, C, side, side) in `dtype` of boxes (B, N, 4)."""
        [atlas] = pyramid
        grid = self.roi_align.grid(boxes.reshape(-1, 4), side)
        samples = grid.shape[1]
        by_image = grid.reshape(-1, boxes.shape[1] * samples, samples, 2)
        sampled = F.grid_sample(atlas, by_image, mode="bilinear", padding_mode="zeros", align_corners=True)
        pooled = F.avg_pool2d(sampled, samples // side)
        aligned = pooled.reshape(-1, atlas.shape[1], boxes.shape[1], side, side).transpose(1, 2)
        # As the heads compute; what they take was half before it was sampled.
        return aligned.reshape(-1, atlas.shape[1], side, side).to(self.dtype)

    def _detect(
        self,
        pooled: Tensor,
        proposals: Tensor,
        is_proposal: Tensor,
        limits: Tensor,
        classes: Tensor,
        score_min: Tensor,
        keep: Tensor,
    ) -> tuple[Tensor, ...]:
        heads = self.model.roi_heads
        # fp32 from here on: scores rank detections, and half ties where they differ by less than 1/2000.
        logits, deltas = (each.float() for each in heads.box_predictor(heads.box_head(pooled)))
        probabilities = logits.reshape(-1, self.proposals, self.classes).softmax(-1) * classes * is_proposal[..., None]
        foreground = self.classes - 1
        scores, order = probabilities[..., 1:].flatten(1).topk(self.candidates)
        sources = order // foreground
        labels = order - sources * foreground + 1
        chosen = _pick(deltas.reshape(-1, self.proposals * self.classes, 4), sources * self.classes + labels)
        boxes = decode(chosen, _pick(proposals, sources), heads.box_coder.weights, limits)
        active = (scores > score_min) & is_larger(boxes, DETECTION_MIN_SIDE)
        keep, converged = self._converge(suppression_matrix(boxes, active, heads.nms_thresh, groups=labels), keep)
        ranks = torch.where((keep > 0.5) & active, scores, torch.zeros_like(scores))
        best, slots = ranks.topk(self.detections)
        chosen_labels = _pick(labels[..., None], slots)[..., 0]
        return _pick(boxes, slots) * (best > 0)[..., None], best, chosen_labels, keep, converged

    def _converge(self, suppresses: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Returns where NMS stopped, and (B,) whether each image's converged."""
        before, _ = converge(suppresses, keep, self.settings.nms_steps - 1)
        after, _ = converge(suppresses, before, 1)
        return after, 1 - (after - before).abs().flatten(1).amax(1)

    def _masks(self, pooled: Tensor, labels: Tensor) -> Tensor:
        heads, flat = self.model.roi_heads, labels.reshape(-1)
        predictor = heads.mask_predictor
        hidden = predictor.relu(predictor.conv5_mask(heads.mask_head(pooled)))
        # Only the predicted label's channel of the last 1 x 1 convolution.
        weight = predictor.mask_fcn_logits.weight[:, :, 0, 0][flat]
        bias = predictor.mask_fcn_logits.bias[flat]
        side = hidden.shape[-1]
        logits = torch.matmul(weight[:, None, :], hidden.flatten(2)).reshape(-1, side, side) + bias[:, None, None]
        # fp32: masks are cut at one half, where half steps by 1/2000, and pasted by interpolating.
        probabilities: Tensor = logits.float().sigmoid()
        return probabilities.reshape(-1, self.detections, side, side)


def _pick(values: Tensor, places: Tensor) -> Tensor:
    """(B, N, V) and (B, ...) places in N -> (B, ..., V)."""
    width = values.shape[2]
    picked: Tensor = values.gather(1, places.flatten(1)[..., None].expand(-1, -1, width))
    return picked.reshape(-1, *places.shape[1:], width)


def _anchor_major(deltas: Tensor) -> Tensor:
    """(B, A * 4, H, W) -> (B, H * W * A, 4), the order of the anchors."""
    _, channels, height, width = deltas.shape
    by_anchor = deltas.reshape(-1, channels // 4, 4, height, width)
    return by_anchor.permute(0, 3, 4, 1, 2).reshape(-1, height * width * channels // 4, 4)
