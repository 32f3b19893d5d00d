"""The reference: torchvision's own eager Mask R-CNN behind the interface of every engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.poolers import LevelMapper, MultiScaleRoIAlign

from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import load_model
from roadmask.engines.networks.network_segmenter import NetworkSegmenter
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.engines.table import EngineOptions


class TorchSegmenter(NetworkSegmenter):
    """Runs torchvision's modules one image at a time, fp32 on the CPU.

    torchvision's own resizing is left out: images are letterboxed as for every engine.

    Args:
        weights: see `find_weights`.
        category_ids: COCO category ids to report.
        score_min: instances below it are not reported.
        input_size: fixed height and width of the network's input; chosen by each image's aspect by default.
        threads: sets torch's own number of threads, which is one for the whole process.
        settings: takes its numbers of anchors, proposals and detections instead of torchvision's own.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        *,
        score_min: float,
        input_size: tuple[int, int] | None = None,
        threads: int | None = None,
        settings: GraphSettings | None = None,
    ) -> None:
        super().__init__("torch", weights, category_ids, precision="fp32", score_min=score_min, input_size=input_size)
        if threads is not None:
            torch.set_num_threads(threads)
        self._model = eager_model(weights, score_min, settings)

    def _segment(self, images: Sequence[Image], letterbox: Letterbox) -> list[Instances]:
        return [self._segment_one(image, letterbox) for image in images]

    def _segment_one(self, image: Image, letterbox: Letterbox) -> Instances:
        found = self.run(torch.from_numpy(letterbox.apply(image))[None], letterbox.content_size)
        boxes, scores, labels, masks = (found[name].numpy() for name in ("boxes", "scores", "labels", "masks"))
        wanted = np.flatnonzero(self._classes[labels])
        return self._instances(letterbox, boxes[wanted], scores[wanted], labels[wanted], masks[wanted, 0])

    def run(self, image: Tensor, content_size: tuple[int, int]) -> dict[str, Tensor]:
        """Runs torchvision's detector on what a letterbox made.

        Args:
            image: uint8 (1, H, W, 3).
            content_size: height and width of the part that is not padding.

        Returns:
            torchvision's boxes (N, 4) in pixels of the network's input, scores, labels of the model and masks
            (N, 1, 28, 28).
        """
        model = self._model
        with torch.inference_mode():
            pixels = image.permute(0, 3, 1, 2).float() / 255
            transform = model.transform
            mean, std = (torch.tensor(values)[:, None, None] for values in (transform.image_mean, transform.image_std))
            pixels = (pixels - mean) / std
            features = model.backbone(pixels)
            proposals, _ = model.rpn(ImageList(pixels, [content_size]), features)
            detections, _ = model.roi_heads(features, proposals, [content_size])
        found: dict[str, Tensor] = detections[0]
        return found


def open_segmenter(weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> Segmenter:
    """Returns the engine `torch`."""
    return TorchSegmenter(
        weights, category_ids, score_min=options.score_min, input_size=options.input_size, threads=options.threads
    )


def eager_model(weights: Weights, score_min: float, settings: GraphSettings | None = None) -> MaskRCNN:
    """Returns torchvision's own model with its thresholds set, in eval mode, fp32; to be used part by part.

    Args:
        weights: of the model.
        score_min: detections below it are not reported.
        settings: takes its numbers of anchors, proposals and detections instead of torchvision's own.
    """
    model = load_model(weights)
    model.roi_heads.score_thresh = score_min
    for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        _fix_scales(pool)
    if settings is not None:
        # torchvision offers these only to its constructors.
        model.rpn._pre_nms_top_n["testing"] = settings.anchors_per_level
        model.rpn._post_nms_top_n["testing"] = settings.proposals
        model.roi_heads.detections_per_img = settings.detections
    return model


def _fix_scales(pool: MultiScaleRoIAlign) -> None:
    # torchvision guesses the strides from the first image's size, which fails for very flat content.
    pool.scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    pool.map_levels = LevelMapper(2, 5)
