"""Draws the outcomes of a frame: missed objects in white dashes, wrong predictions in red, and a caption."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive.verdict import Outcome, Verdict

Image = NDArray[np.uint8]
"""(H, W, 3) RGB image."""

_MISSED, _WRONG, _CASING = (255, 255, 255), (255, 48, 48), (0, 0, 0)
_DASH, _GAP = 9, 7  # pixels
_PAPER, _INK, _FAINT = (18, 20, 24), (240, 240, 240), (170, 174, 180)
_FOUND = ((255, 166, 0), (86, 190, 255), (0, 165, 118))  # as the overlay begins
WRONG = (Outcome.AGAIN, Outcome.ROUGH, Outcome.NOTHING)


def enlarged(instances: Instances, factor: int) -> Instances:
    """Returns the instances for an image `factor` times as large, with smoothed outlines.

    Raises:
        InputError: there are no masks.
    """
    if instances.masks is None:
        raise InputError("expected instances with masks, got boxes only: use a model that predicts masks.")
    height, width = (side * factor for side in instances.image_size)
    dense = np.zeros((len(instances), height, width), bool)
    for large, mask in zip(dense, instances.masks.to_rle().dense(), strict=True):
        soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        large[:] = cv2.GaussianBlur(soft, (0, 0), 0.6 * factor) > 0.5
    masks = RleMasks.from_dense(dense, (height, width))
    return Instances((height, width), instances.boxes * factor, instances.scores, instances.category_ids, masks)


def mark_verdict(image: Image, verdict: Verdict, predicted: Instances, truth: Instances) -> None:
    """Outlines missed objects and wrong predictions in the image, in place.

    Args:
        image: (H, W, 3) RGB image to draw into.
        verdict: outcomes of the frame.
        predicted: the predictions, in the size of this image.
        truth: the true instances, in the size of this image.
    """
    for missed in np.flatnonzero(verdict.missed).tolist():
        _dashed(image, _outline(truth, missed))
    for row, outcome in enumerate(verdict.outcomes):
        if outcome in WRONG:
            outline = _outline(predicted, row)
            cv2.drawContours(image, outline, -1, _CASING, 5, cv2.LINE_AA)
            cv2.drawContours(image, outline, -1, _WRONG, 3, cv2.LINE_AA)
    sheet = PillowImage.fromarray(image)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, outcome in enumerate(verdict.outcomes):
        if outcome in WRONG:
            x1, y1, x2, y2 = (float(v) for v in predicted.boxes[row])
            middle = (x1 + x2) / 2, (y1 + y2) / 2
            draw.text(middle, outcome.value, _MISSED, font, "mm", stroke_width=3, stroke_fill=_CASING)
    image[:] = np.asarray(sheet)


def captioned(image: Image, title: str, lines: Sequence[str]) -> Image:
    """Returns the image with a band below it that holds a title, lines of text and a legend."""
    height, width = image.shape[:2]
    large, small, step, margin = ImageFont.load_default(25), ImageFont.load_default(18), 26, 16
    band = 50 + step * (len(lines) + 1) + margin
    sheet = PillowImage.new("RGB", (width, height + band), _PAPER)
    sheet.paste(PillowImage.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, height + 12), title, _INK, large)
    for number, line in enumerate(lines):
        draw.text((margin, height + 50 + number * step), line, _INK, small)
    x, y = margin, height + 50 + len(lines) * step
    for colour in _FOUND:
        draw.rectangle((x, y + 5, x + 12, y + 17), colour)
        x += 14
    x = _legend(draw, small, x + 6, y, "found")
    for _ in range(3):
        draw.line((x, y + 11, x + 8, y + 11), _MISSED, 3)
        x += 13
    x = _legend(draw, small, x + 4, y, "missed")
    draw.line((x, y + 11, x + 34, y + 11), _WRONG, 3)
    x = _legend(draw, small, x + 42, y, "reported wrongly")
    draw.text((width - margin, y), "drawn by code, not filmed; lite, score 0.5", _FAINT, small, "ra")
    return np.asarray(sheet, np.uint8).copy()


def _legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, x: int, y: int, text: str
) -> int:
    """Writes a text and returns the x coordinate after it."""
    draw.text((x, y), text, _INK, font)
    return x + round(draw.textlength(text, font)) + 30


def _outline(instances: Instances, row: int) -> list[NDArray[np.int32]]:
    assert instances.masks is not None  # noqa: S101 - `enlarged` saw to it
    crop = instances.masks.to_rle().crop(row)
    inside = np.ascontiguousarray(crop.inside).view(np.uint8)
    if not inside.size:
        return []
    place = crop.left, crop.top
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=place)
    return [np.asarray(contour, np.int32) for contour in contours]


def _dashed(image: Image, outline: list[NDArray[np.int32]]) -> None:
    """Draws white dashes on a dark line, which are visible on any background."""
    cv2.drawContours(image, outline, -1, _CASING, 5, cv2.LINE_AA)
    for contour in outline:
        for start in range(0, len(contour), _DASH + _GAP):
            cv2.polylines(image, [contour[start : start + _DASH]], False, _MISSED, 3, cv2.LINE_AA)
