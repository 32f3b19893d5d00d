"""Verifies an engine for GPUs against torchvision eager: differences of each output, and mask AP of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from roadmask.engines import Image, Instances, Segmenter, SegmenterInfo
from roadmask.engines.errors import EngineError, InputError
from roadmask.evaluation import evaluate_masks, read_truth, segment_truth
from roadmask.evaluation.engines.acceptance import AP_DROP_MAX

SURE = 0.6
"""Instances of torchvision above this score must be found; at the threshold, rounding decides."""
_IOU_MIN = 0.5


@dataclass(frozen=True)
class Tolerance:
    """How far an engine may be from torchvision eager."""

    ap: float
    """Largest drop of mask AP, 0 to 1."""
    lost: float
    """Largest share of sure instances that may be missing: two that nearly tie may change places in NMS."""
    box_px: float
    """Largest difference of a corner's coordinate, in pixels of the image, for `share` of the instances."""
    score: float
    mask: float
    share: Literal["half", "most"] = "most"
    """Share of the instances that the limits hold for: `half` for int8, which moves some to a neighbour, or `most`."""


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(0.001, 0.002, box_px=0.05, score=0.001, mask=0.005),  # the order of sums alone
    "fp16": Tolerance(AP_DROP_MAX["fp16"], 0.01, box_px=0.5, score=0.01, mask=0.05),
    "int8": Tolerance(AP_DROP_MAX["int8"], 0.05, box_px=5, score=0.05, mask=0.5, share="half"),
}


class Spread(NamedTuple):
    """Distribution of a difference over all sure instances that were found."""

    half: float
    """Median of the difference."""
    most: float
    """99th percentile of the difference."""
    largest: float


@dataclass(frozen=True)
class Verification:
    """Comparison of two segmenters on the same images."""

    images: int
    sure: int
    """Number of torchvision's instances above `SURE`."""
    lost: int
    """Number of these that the engine lacks (same class, box IoU 0.5)."""
    box_px: Spread
    """Difference of a corner's coordinate, in pixels of the image."""
    score: Spread
    """Difference of the score."""
    mask: Spread
    """Largest difference of a cell's probability in the 28 x 28 mask."""
    ap: float
    """Mask AP of the engine, 0 to 1."""
    eager_ap: float
    """Mask AP of torchvision eager, 0 to 1."""

    def require(self, precision: str) -> None:
        """Checks that the differences are within the tolerances.

        Raises:
            EngineError: something is beyond them.
        """
        allowed, remedy = TOLERANCES[precision], f"in {precision}; choose fp32, or report it if it is."
        if self.eager_ap - self.ap > allowed.ap:
            raise EngineError(
                f"mask AP is {self.ap:.4f}, torchvision's is {self.eager_ap:.4f}: expected at most {allowed.ap} less "
                f"{remedy}"
            )
        if self.lost > allowed.lost * self.sure:
            raise EngineError(
                f"{self.lost} of {self.sure} sure instances are missing: expected at most {allowed.lost:.1%} {remedy}"
            )
        for name in ("box_px", "score", "mask"):
            found, limit = getattr(getattr(self, name), allowed.share), getattr(allowed, name)
            if found > limit:
                share = "half" if allowed.share == "half" else "99 %"
                raise EngineError(
                    f"{name} is {found:.5f} from torchvision's, which {share} keep to: expected at most {limit} "
                    f"{remedy}"
                )


def verify_segmenter(
    segmenter: Segmenter,
    eager: Segmenter,
    folder: Path,
    on_image: Callable[[], None] = lambda: None,
    batch: int = 1,
) -> Verification:
    """Runs both on the images of a ground truth.

    Args:
        segmenter: to verify.
        eager: torchvision's, with the same numbers of proposals and detections, classes and score threshold.
        folder: of `instances.json` and `images`.
        on_image: called after each image of each.
        batch: how many images of one size go in together, at most.

    Raises:
        InputError: the ground truth has nothing to find, or torchvision is sure of nothing in its images.
        EngineError: the engine finds nothing that torchvision is sure of.
    """
    truth = read_truth(folder / "instances.json")
    names = [name for name in truth.annotated_classes if name in eager.info.class_names.values()]
    recorders = [_Recorder(each) for each in (segmenter, eager)]
    precisions = []
    for recorder in recorders:
        results = segment_truth(recorder, truth, folder / "images", on_image, batch)
        ap = evaluate_masks(truth, results, names)[-1].ap
        if ap is None:
            raise InputError(f"expected masks to find in {folder}, there are none.")
        precisions.append(ap)
    ours, theirs = (recorder.found for recorder in recorders)
    differences = [difference for pair in zip(ours, theirs, strict=True) for difference in _differences(*pair)]
    if not differences:
        raise InputError(
            f"torchvision scores nothing above {SURE} in {folder}: expected images in which it finds something."
        )
    apart = np.array([each for each in differences if each is not None]).reshape(-1, 3)
    if not len(apart):
        raise EngineError(f"the engine finds none of torchvision's {len(differences)} sure instances in {folder}.")
    box, score, mask = (Spread(*np.quantile(each, (0.5, 0.99, 1)).tolist()) for each in apart.T)
    return Verification(len(ours), len(differences), len(differences) - len(apart), box, score, mask, *precisions)


class _Recorder:
    """Keeps what a segmenter finds, as it was found."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.found: list[Instances] = []

    @property
    def info(self) -> SegmenterInfo:
        return self._segmenter.info

    def warm_up(self, image_size: tuple[int, int]) -> None:
        self._segmenter.warm_up(image_size)

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        found = self._segmenter(images)
        self.found += found
        return found


def _differences(ours: Instances, theirs: Instances) -> list[tuple[float, float, float] | None]:
    """Returns, of each sure instance of theirs, how far ours is in box, score and mask; None where there is none."""
    differences: list[tuple[float, float, float] | None] = []
    for place in np.flatnonzero(theirs.scores > SURE):
        box = theirs.boxes[place]
        overlap = np.clip(np.minimum(box[2:], ours.boxes[:, 2:]) - np.maximum(box[:2], ours.boxes[:, :2]), 0, None)
        both = (box[2:] - box[:2]).prod() + (ours.boxes[:, 2:] - ours.boxes[:, :2]).prod(1)
        inside = overlap.prod(1)
        ious = np.where(ours.category_ids == theirs.category_ids[place], inside / np.maximum(both - inside, 1e-9), 0)
        if ious.max(initial=0) < _IOU_MIN:
            differences.append(None)
            continue
        best = int(ious.argmax())
        one, other = ours[best : best + 1].masks, theirs[place : place + 1].masks
        cells = np.abs(one.probabilities - other.probabilities).max()  # type: ignore[union-attr]
        moved = np.abs(ours.boxes[best] - box).max()
        differences.append((float(moved), float(abs(ours.scores[best] - theirs.scores[place])), float(cells)))
    return differences
