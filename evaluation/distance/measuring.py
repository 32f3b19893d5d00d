"""Runs the estimate of distances over sequences of masks and compares it with labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from roadmask.engines.errors import InputError
from roadmask.engines.images import decode_image
from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Segmenter
from roadmask.evaluation.distance.truth import TrueObjects
from roadmask.geometry import Calibration, read_calibration
from roadmask.geometry.distance.config import DistanceConfig
from roadmask.geometry.distance.estimator import DistanceEstimator
from roadmask.streaming.formats.kitti import read_kitti_mots, sequence_files

Floats = NDArray[np.float64]

KITTI_HEIGHT = 1.65
"""Height in metres of KITTI's cameras over the road, which its calibration files do not state (Geiger et al. 2013)."""
KITTI_FPS = 10
_MATCH_IOU = 0.5
"""IoU of the boxes of a mask and a label from which they are the same object."""
NEAREST, FARTHEST = 2.0, 80.0
"""Distances in metres between which objects are measured."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P instances that a label describes, of one or more sequences."""

    category: NDArray[np.int64]
    """(P,) COCO category ids."""
    visible: NDArray[np.bool_]
    """(P,) whether the object is neither occluded nor truncated."""
    truth: Floats
    """(P,) true distances in metres."""
    metres: Floats
    """(P,) estimated distances, NaN where there is none."""
    sigma: Floats
    """(P,) their standard deviations."""
    naive: Floats
    """(P,) distances of the lower edge of the box on a road below a camera without pitch."""
    lateral_error: Floats
    """(P,) absolute errors of the lateral offset in metres."""
    speed_error: Floats
    """(P,) errors of the closing speed in m/s."""
    speed_sigma: Floats
    """(P,) standard deviations of the closing speed."""
    contact_error: Floats
    """(P,) relative errors of the time to contact, against a truth of at most 10 s."""

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, rows: NDArray[np.bool_]) -> Pairs:
        return Pairs(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """Returns the pairs of all parts."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


@dataclass(frozen=True, eq=False)
class MeasuredSequence:
    """What was measured on one sequence."""

    pairs: Pairs
    """Its labelled instances with their distances."""
    estimator: DistanceEstimator
    """The estimator after the last frame."""
    seconds: float
    """Processor time of the estimates in seconds."""
    frames: int
    """Number of frames."""


def kitti_sequences(found: Path, calibration: Path, gt: Path) -> Iterator[tuple[str, Path, Path, Path]]:
    """Yields the name, masks or images, calibration and labels of each sequence that has all three.

    Raises:
        InputError: no sequence has.
    """
    folders = {path.name: path for path in sorted(found.glob("*")) if path.is_dir() and any(path.glob("*.png"))}
    places = folders or sequence_files(found), sequence_files(calibration), sequence_files(gt)
    names = sorted(set.intersection(*(set(each) for each in places)))
    if not names:
        raise InputError(
            f"expected sequences of the same name in {found}, {calibration} and {gt}, found none in all three."
        )
    for name in names:
        yield name, places[0][name], places[1][name], places[2][name]


def kitti_camera(path: Path, height: float = KITTI_HEIGHT, pitch: float | None = None) -> Calibration:
    """Returns the calibration of a sequence's camera, with its height in metres and pitch in radians.

    Raises:
        CalibrationError: the file cannot be read.
    """
    return read_calibration(path).with_mounting(height, pitch, "the caller")


def read_frames(found: Path, segmenter: Segmenter | None = None) -> tuple[list[Instances], list[NDArray[np.int64]]]:
    """Returns the instances of each frame of a sequence from frame 0, and their tracks.

    Args:
        found: file of KITTI MOTS; with a segmenter, a folder of images named after their frames.
        segmenter: what finds the instances of images, each of which then is without a track.

    Raises:
        InputError: the file or an image cannot be read.
    """
    if segmenter is None:
        frames = read_kitti_mots(found)
        for frame in frames:
            if frame.instances.masks is not None:
                frame.instances.masks.to_rle().validate()  # decoding is not part of the estimate
        return [each.instances for each in frames], [
            np.array([int(row[1]) for row in frame.rows], np.int64) for frame in frames
        ]
    images: dict[int, NDArray[np.uint8]] = {}
    for path in sorted(found.glob("*.png")):
        image = decode_image(path)
        if image is None or not path.stem.isdigit():
            raise InputError(f"{path}: expected an image named after the number of its frame, such as 000010.png.")
        images[int(path.stem)] = image
    size = next(iter(images.values())).shape
    segmented = [Instances.empty((size[0], size[1]))] * (max(images) + 1)
    for number, image in images.items():
        (segmented[number],) = segmenter([image])
    return segmented, [np.zeros(len(each), np.int64) for each in segmented]


def measure_frames(
    frames: Sequence[Instances],
    track_ids: Sequence[NDArray[np.int64]],
    camera: Calibration,
    truth: dict[int, TrueObjects],
    config: DistanceConfig | None = None,
    when: Callable[[int], int] = lambda frame: frame * 1_000_000_000 // KITTI_FPS,
) -> MeasuredSequence:
    """Measures the distances of the frames of a sequence.

    Args:
        frames: instances of each frame, with masks.
        track_ids: their tracks.
        camera: calibration of the camera.
        truth: frame -> its labelled objects.
        config: settings of the estimate.
        when: frame -> its time in nanoseconds.
    """
    estimator = DistanceEstimator(camera, config)
    speeds = _true_speeds(truth, when)
    parts: list[Pairs] = []
    spent = 0.0
    for frame, (instances, ids) in enumerate(zip(frames, track_ids, strict=True)):
        began = process_time()
        found = estimator(instances, ids, when(frame))
        spent += process_time() - began
        objects = truth.get(frame)
        if objects is None or not len(instances):
            continue
        boxes = _mask_boxes(instances)
        rows, columns = _matched(boxes, instances.category_ids, objects)
        columns_in_range = (objects.metres[columns] >= NEAREST) & (objects.metres[columns] <= FARTHEST)
        rows, columns = rows[columns_in_range], columns[columns_in_range]
        speed = np.array([speeds.get((frame, int(each)), np.nan) for each in objects.ids[columns]])
        contact = np.where(speed > 0.5, objects.metres[columns] / np.maximum(speed, 0.5), np.nan)
        contact[contact > 10] = np.nan
        parts.append(
            Pairs(
                instances.category_ids[rows],
                objects.visible[columns],
                objects.metres[columns],
                found.metres[rows].astype(np.float64),
                found.metres_sigma[rows].astype(np.float64),
                _naive(camera, boxes[rows, 3]),
                np.abs(found.lateral[rows] - objects.lateral[columns]),
                found.closing_speed[rows] - speed,
                found.closing_speed_sigma[rows].astype(np.float64),
                found.time_to_contact[rows] / contact - 1,
            )
        )
    none = np.zeros(0)
    empty = Pairs(none.astype(np.int64), none.astype(np.bool_), *(none for _ in range(8)))
    return MeasuredSequence(Pairs.joined([empty, *parts]), estimator, spent, len(frames))


def _naive(camera: Calibration, bottom: Floats) -> Floats:
    below = (bottom - camera.centre[1]) / camera.focal[1]
    return np.where(below > 0, (camera.height or np.nan) / np.maximum(below, 1e-9), np.inf)


def _true_speeds(truth: dict[int, TrueObjects], when: Callable[[int], int]) -> dict[tuple[int, int], float]:
    """Returns the closing speed of each labelled object, from labels half a second before and after it."""
    places = {
        (frame, i): z
        for frame, each in truth.items()
        for i, z in zip(each.ids.tolist(), each.metres.tolist(), strict=True)
    }
    reach = KITTI_FPS // 2
    speeds = {}
    for frame, i in places:
        before, after = places.get((frame - reach, i)), places.get((frame + reach, i))
        if before is not None and after is not None:
            speeds[frame, i] = (before - after) / (when(frame + reach) - when(frame - reach)) * 1e9
    return speeds


def _mask_boxes(instances: Instances) -> Floats:
    from pycocotools import mask as coco_mask  # noqa: PLC0415

    if instances.masks is None:
        return instances.boxes.astype(np.float64)
    boxes = np.asarray(coco_mask.toBbox(instances.masks.to_rle().coco), np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _matched(
    boxes: Floats, categories: NDArray[np.int64], objects: TrueObjects
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    low = np.maximum(boxes[:, None, :2], objects.boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], objects.boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    area, true_area = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, objects.boxes))
    iou = shared / np.maximum(area[:, None] + true_area[None] - shared, 1e-9)
    iou[categories[:, None] != objects.categories[None]] = 0
    rows, columns = linear_sum_assignment(-np.where(iou >= _MATCH_IOU, iou, 0))
    real = iou[rows, columns] >= _MATCH_IOU
    return rows[real], columns[real]
