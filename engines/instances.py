"""What a segmenter finds in one image: the type that flows from engines through trackers into stores and videos."""

# ruff: noqa: PLC0415 - readers of other libraries' results are imported when one of them is called

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.engines.semantic import SemanticMap

if TYPE_CHECKING:
    import supervision

    from roadmask.engines.interop.categories import Unknown

Index = slice | NDArray[np.bool_] | NDArray[np.integer[Any]] | Sequence[int]
"""What selects instances: a slice, a boolean mask or integer positions."""


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of one image, best score first as segmenters return them.

    One index applies to every field that has one entry per instance: `instances[instances.scores > 0.8]`. What is known
    of the image as a whole, `image_size` and `semantic`, stays as it is, so a semantic map that an engine puts here
    reaches trackers, stores and videos without their taking part.

    Raises:
        InstancesError: lengths, shapes or types differ from what is stated below, a box or score is not finite,
            or a box has x2 < x1 or y2 < y1.
    """

    image_size: tuple[int, int]
    """Height and width of the image in pixels."""
    boxes: NDArray[np.float32]
    """(N, 4) x1, y1, x2, y2 in pixels of the image; x2 and y2 are exclusive edges."""
    scores: NDArray[np.float32]
    """(N,) confidence of each instance, 0 to 1."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids, see `roadmask.engines.CLASS_NAMES`."""
    masks: BoxMasks | RleMasks | None = None
    """One mask per instance, or None where only boxes are known."""
    semantic: SemanticMap | None = None
    """Classes of the whole image (road, sky, ...), or None where the segmenter reports instances only."""
    since_detected_ns: NDArray[np.int64] | None = None
    """(N,) time between the image and the one in which each instance was detected, in nanoseconds: 0 for an instance
    that was detected in this image, more for one that was propagated from an earlier or a later image. None if all were
    detected in this image, or it is not known."""

    def __post_init__(self) -> None:
        height, width = self.image_size
        if height < 1 or width < 1:
            raise InstancesError(f"expected an image of at least 1 x 1 pixels, got image_size {self.image_size}.")
        count = len(self.boxes)
        _expect("boxes", self.boxes, (count, 4), np.float32)
        _expect("scores", self.scores, (count,), np.float32)
        _expect("category_ids", self.category_ids, (count,), np.int64)
        if not (np.isfinite(self.boxes).all() and np.isfinite(self.scores).all()):
            raise InstancesError("boxes and scores must be finite, got NaN or infinity: drop those instances first.")
        if (self.boxes[:, 2:] < self.boxes[:, :2]).any():
            raise InstancesError("expected boxes as x1, y1, x2, y2 with x1 <= x2 and y1 <= y2; convert xywh first.")
        if self.since_detected_ns is not None:
            _expect("since_detected_ns", self.since_detected_ns, (count,), np.int64)
            if (self.since_detected_ns < 0).any():
                raise InstancesError(
                    f"expected since_detected_ns of at least 0, got {self.since_detected_ns.min()}: pass the distance "
                    "in time, whichever image came first."
                )
        if self.masks is not None:
            if len(self.masks) != count:
                raise InstancesError(f"expected one mask for each of {count} boxes, got {len(self.masks)} masks.")
            if self.masks.image_size != self.image_size:
                raise InstancesError(
                    f"expected masks of an image of {self.image_size}, got masks of {self.masks.image_size}: boxes and "
                    "masks must be of the same image."
                )
        if self.semantic is not None and self.semantic.image_size != self.image_size:
            raise InstancesError(
                f"expected a semantic map of an image of {self.image_size}, got one of {self.semantic.image_size}."
            )

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Instances:
        """Returns no instances, with masks of length 0."""
        return cls(
            image_size,
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            RleMasks((), image_size),
        )

    @classmethod
    def from_coco(
        cls,
        annotations: Sequence[Mapping[str, Any]],
        image_size: tuple[int, int],
        *,
        class_names: Mapping[int, str] | None = None,
        unknown: Unknown = "error",
    ) -> Instances:
        """Reads annotations or results of one image in COCO's form, in the order given.

        Args:
            annotations: objects with `category_id`, `segmentation` (polygons, or run lengths in either form) or `bbox`
                or both, and `score` (1 where absent), as `pycocotools.coco.COCO.loadAnns` returns them. Crowd regions
                (`iscrowd` 1) are not instances and are left out.
            image_size: height and width of the image in pixels.
            class_names: category id of the file -> class name, for files with categories of their own; None if the
                ids are COCO's.
            unknown: `error` refuses classes that are not among COCO's, `drop` leaves their instances out.

        Raises:
            InstancesError: an annotation is malformed, belongs to another image, or has an unknown class.
        """
        from roadmask.engines.interop.coco import from_coco

        return from_coco(annotations, image_size, class_names=class_names, unknown=unknown)

    @classmethod
    def from_supervision(
        cls,
        detections: supervision.Detections,
        image_size: tuple[int, int] | None = None,
        *,
        class_names: Mapping[int, str] | None = None,
        unknown: Unknown = "error",
    ) -> Instances:
        """Reads `supervision.Detections`, in the order given; scores are 1 where there is no confidence.

        Args:
            detections: of one image, with masks (dense or compact) or boxes alone.
            image_size: height and width of the image in pixels; may be None if there are masks.
            class_names: `class_id` -> class name; None if the detections have names in `data["class_name"]`.
            unknown: `error` refuses classes that are not among COCO's, `drop` leaves their instances out.

        Raises:
            InstancesError: the image size or the classes are not known.
        """
        from roadmask.engines.interop.supervision import from_supervision

        return from_supervision(detections, image_size, class_names=class_names, unknown=unknown)

    @classmethod
    def from_torchvision(
        cls,
        output: Mapping[str, Any],
        image_size: tuple[int, int] | None = None,
        *,
        class_names: Mapping[int, str] | None = None,
        unknown: Unknown = "error",
    ) -> Instances:
        """Reads what a detection model of torchvision returns for one image, in the order given.

        Args:
            output: one element of the model's list: `boxes`, `labels`, `scores` (1 where absent) and, of models with a
                mask head, `masks` as (N, 1, H, W) probabilities; pixels of 0.5 and above are inside.
            image_size: height and width of the image in pixels; may be None if there are masks.
            class_names: label -> class name, for models with classes of their own; None if the labels are COCO's
                category ids, as those of torchvision's weights are.
            unknown: `error` refuses classes that are not among COCO's, `drop` leaves their instances out.

        Raises:
            InstancesError: the image size or a class is not known, lengths differ, or masks are logits.
        """
        from roadmask.engines.interop.torchvision import from_torchvision

        return from_torchvision(output, image_size, class_names=class_names, unknown=unknown)

    @classmethod
    def from_ultralytics(
        cls,
        result: Any,
        *,
        class_names: Mapping[int, str] | None = None,
        unknown: Unknown = "error",
    ) -> Instances:
        """Reads the result of an ultralytics model for one image, in the order given.

        Args:
            result: one element of the model's list, an `ultralytics.engine.results.Results` with boxes and, of models
                for segmentation, masks; these are taken from the network's input back to the image.
            class_names: class number -> class name, for models whose own names are not COCO's; None for `result.names`.
            unknown: `error` refuses classes that are not among COCO's, `drop` leaves their instances out.

        Raises:
            InstancesError: the result has no boxes, or a class is unknown.
        """
        from roadmask.engines.interop.ultralytics import from_ultralytics

        return from_ultralytics(result, class_names=class_names, unknown=unknown)

    def to_supervision(self, track_ids: NDArray[np.integer[Any]] | None = None) -> supervision.Detections:
        """Returns the instances as `supervision.Detections`, with dense masks and COCO category ids as `class_id`.

        Where `since_detected_ns` is known, it is in `data`.

        Args:
            track_ids: (N,) track of each instance, which becomes `tracker_id`; None where nothing was tracked.

        Raises:
            EngineError: supervision is not installed.
            InstancesError: the number of track ids differs from that of the instances.
        """
        from roadmask.engines.interop.supervision import to_supervision

        return to_supervision(self, track_ids)

    @property
    def propagated(self) -> NDArray[np.bool_]:
        """(N,) whether each instance was propagated from another image instead of detected in this one."""
        since = self.since_detected_ns
        return np.zeros(len(self), np.bool_) if since is None else since > 0

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Index) -> Instances:
        if not isinstance(index, slice):
            index = as_rows(index)
        masks = None if self.masks is None else self.masks[index]
        return replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            category_ids=self.category_ids[index],
            masks=masks,
            since_detected_ns=None if self.since_detected_ns is None else self.since_detected_ns[index],
        )

    def __repr__(self) -> str:
        kind = type(self.masks).__name__
        height, width = self.image_size
        semantic = "" if self.semantic is None else ", with a semantic map"
        return f"Instances({len(self)} in {width} x {height}, masks={kind}{semantic})"


def as_rows(index: Index) -> NDArray[Any]:
    """Returns an index of instances, other than a slice, as a boolean mask or integer positions.

    Raises:
        InstancesError: it is neither; a single number too, which would drop the first axis of every field.
    """
    rows = np.asarray(index)
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "bui"):
        raise InstancesError(
            f"expected a slice, a boolean mask or a list of positions, got {rows.dtype} of shape {rows.shape}: "
            "select one instance with a list of one position."
        )
    return rows if rows.dtype == np.bool_ else rows.astype(np.intp)


def _expect(name: str, array: Any, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        came = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InstancesError(f"expected {name} as {np.dtype(dtype)} {shape}, got {came}.")
