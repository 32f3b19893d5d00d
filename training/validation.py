"""Mask AP while training: the averaged weights on the validation images, judged by pycocotools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from roadmask.engines.classes import CLASS_NAMES
from roadmask.engines.instances import Instances
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.masks import BoxMasks
from roadmask.engines.segmenter import Image
from roadmask.evaluation import CocoTruth, Result, evaluate_masks
from roadmask.evaluation.coco_json import TruthImage, TruthMask
from roadmask.training.samples import TrainingImage

SCORE_MIN = 0.05


def validation_truth(images: Sequence[TrainingImage], class_names: Mapping[int, str] = CLASS_NAMES) -> CocoTruth:
    """Returns the labels of images as a ground truth."""
    masks, known = [], {}
    for number, image in enumerate(images, start=1):
        known[number] = TruthImage(number, image.name, image.size)
        for each in image.objects:
            rle = {"size": list(image.size), "counts": each.counts}
            box = each.box
            area = float((box[2] - box[0]) * (box[3] - box[1])) if each.crowd else float(_area(each.counts, image.size))
            masks.append(TruthMask(number, each.category_id, rle, area, each.crowd))
    names = {category: class_names[category] for category in sorted({mask.category_id for mask in masks})}
    return CocoTruth(Path("validation"), known, names, tuple(masks))


def validate(
    model: MaskRCNN,
    class_names: Mapping[int, str],
    category_ids: Sequence[int],
    images: Sequence[TrainingImage],
    input_size: tuple[int, int],
    on_image: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Returns mask AP of each class, 0 to 1, and of their mean, `all`.

    Args:
        model: its weights are used as they are; left in the mode in which it came.
        class_names: category id -> name of the model's classes.
        category_ids: COCO category id of each of the model's labels, background first.
        images: labelled images.
        input_size: height and width of the network's input.
        on_image: called after each image.
    """
    truth = validation_truth(images, class_names)
    results: list[Result] = []
    training = model.training
    model.eval()
    try:
        for number, image in enumerate(images, start=1):
            found = segment(model, category_ids, image.read(), input_size)
            assert found.masks is not None  # noqa: S101 - made below
            for category, score, rle in zip(found.category_ids, found.scores, found.masks.to_rle().coco, strict=True):
                if int(category) in truth.class_names:
                    results.append(Result(number, int(category), rle, float(score)))
            on_image()
    finally:
        model.train(training)
    return {row.name: row.ap or 0.0 for row in evaluate_masks(truth, results)}


def segment(
    model: MaskRCNN,
    category_ids: Sequence[int],
    image: Image,
    input_size: tuple[int, int],
    score_min: float = SCORE_MIN,
) -> Instances:
    """Returns what a network in eval mode finds in an image, in pixels of the image, best score first."""
    letterbox = Letterbox.fit((image.shape[0], image.shape[1]), input_size)
    device = next(model.parameters()).device
    model.roi_heads.score_thresh = score_min
    with torch.inference_mode():
        pixels = torch.from_numpy(letterbox.apply(image)).to(device).permute(2, 0, 1)[None].float() / 255
        mean, std = (
            torch.tensor(values, device=device)[:, None, None]
            for values in (model.transform.image_mean, model.transform.image_std)
        )
        pixels = (pixels - mean) / std
        features = model.backbone(pixels)
        sizes = [letterbox.content_size]
        proposals, _ = model.rpn(ImageList(pixels, sizes), features)
        (found,), _ = model.roi_heads(features, proposals, sizes)
    boxes = letterbox.undo(found["boxes"].float().cpu().numpy())
    labels = found["labels"].cpu().numpy()
    size = letterbox.image_size
    return Instances(
        size,
        boxes,
        found["scores"].float().cpu().numpy(),
        np.array(category_ids, np.int64)[labels],
        BoxMasks(found["masks"][:, 0].float().cpu().numpy(), boxes, size),
    )


def _area(counts: bytes, size: tuple[int, int]) -> int:
    from pycocotools import mask as coco_mask  # noqa: PLC0415

    return int(coco_mask.area({"size": list(size), "counts": counts}))
