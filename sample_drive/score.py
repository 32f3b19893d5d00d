"""Compares a result with the truth of the sample drive: what was found, what is false, and whether ids persist.

An object counts in a frame if its visible part is at least 20 px high. Smaller objects are ignored: missing them costs
nothing, and a prediction that matches one, or lies mostly on such objects, is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.assignment import assign
from roadmask.engines.classes import CAR, CLASS_NAMES, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive.drive import TruthFrame

MIN_HEIGHT_PX = 20
"""Minimum height in pixels of the visible part of an object that counts."""
MIN_IOU = 0.5
"""Minimum mask IoU at which a prediction has found an object."""
MOSTLY = 0.5
"""Minimum fraction of a prediction on ignored objects at which the prediction is ignored, too."""


@dataclass(frozen=True)
class ClassScore:
    """The score of one class. A ratio of 0 to 0 is NaN."""

    category_id: int
    """COCO category id."""
    truth: int
    """Number of objects that count, summed over all frames."""
    found: int
    """Number of these objects that a prediction matched."""
    false: int
    """Number of predictions that match no object and do not lie on ignored objects."""
    mean_iou: float
    """Mean mask IoU of the matches."""
    objects: int
    """Number of different objects that count in some frame."""
    objects_found: int
    """Number of these objects that were matched in some frame."""
    id_switches: int | None
    """Number of times that an object was matched by another track than before; None without track ids."""
    tracks: int | None
    """Number of pairs of an object and a track that matched it, at best `objects_found`; None without track ids."""

    @property
    def name(self) -> str:
        """Name of the class."""
        return CLASS_NAMES[self.category_id]

    @property
    def recall(self) -> float:
        """Fraction of the objects that were found."""
        return self.found / self.truth if self.truth else float("nan")

    @property
    def precision(self) -> float:
        """Fraction of the predictions that found an object."""
        return self.found / (self.found + self.false) if self.found + self.false else float("nan")

    @property
    def tracks_per_object(self) -> float | None:
        """Mean number of tracks per object that was found, at best 1; None without track ids."""
        if self.tracks is None:
            return None
        return self.tracks / self.objects_found if self.objects_found else float("nan")


@dataclass(frozen=True)
class DriveScore:
    """The score of a result."""

    frames: int
    """Number of frames that were compared."""
    classes: tuple[ClassScore, ...]
    """Score of each class, in the order of the arguments."""

    def __getitem__(self, category_id: int) -> ClassScore:
        for score in self.classes:
            if score.category_id == category_id:
                return score
        raise KeyError(category_id)


def score_drive(
    predictions: Sequence[Instances],
    truths: Sequence[TruthFrame],
    track_ids: Sequence[NDArray[np.integer]] | None = None,
    *,
    category_ids: Sequence[int] = (PEDESTRIAN, CAR),
    min_iou: float = MIN_IOU,
    min_height_px: int = MIN_HEIGHT_PX,
) -> DriveScore:
    """Compares predictions with the truth, frame by frame and class by class.

    Within a frame and a class, predictions and objects are matched one to one so that the sum of their mask IoUs is
    greatest; only pairs of `min_iou` and more match.

    Args:
        predictions: instances found in each frame, with masks; only those above the score threshold.
        truths: ground truth of the same frames.
        track_ids: (N,) track ids of the predictions of each frame, 0 for no track; None if nothing was tracked.
        category_ids: COCO category ids to score; predictions and objects of other classes are left out.
        min_iou: minimum mask IoU of a match, more than 0.
        min_height_px: minimum height in pixels of the visible part of an object that counts.

    Raises:
        InputError: the lengths differ, a frame has no masks, or images differ in size.
    """
    _check(predictions, truths, track_ids)
    ids = track_ids if track_ids is not None else [np.zeros(len(p), np.int64) for p in predictions]
    scores = []
    for category_id in category_ids:
        tally = _Tally(category_id, min_iou, min_height_px)
        for predicted, truth, tracks in zip(predictions, truths, ids, strict=True):
            tally.add(predicted, truth, tracks)
        scores.append(tally.score(tracked=track_ids is not None))
    return DriveScore(len(truths), tuple(scores))


def matched_pairs(iou: NDArray[np.float64], min_iou: float = MIN_IOU) -> list[tuple[int, int]]:
    """Matches predictions and objects one to one so that the sum of their IoUs is greatest.

    Args:
        iou: (N, M) IoU of predictions and objects.
        min_iou: minimum IoU of a match, more than 0.

    Returns:
        Row and column of each match.
    """
    rows, columns = assign(np.where(iou >= min_iou, iou, 0.0))
    return [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]


@dataclass(frozen=True, eq=False)
class CountedFrame:
    """One class of one frame, without the objects and predictions that are ignored."""

    object_ids: NDArray[np.int64]
    """(M,) ids of the objects that count."""
    track_ids: NDArray[np.integer]
    """(N,) track ids of the predictions that are right or wrong."""
    iou: NDArray[np.float64]
    """(M, N) mask IoU of objects and predictions."""


def count_frame(
    predicted: Instances,
    truth: TruthFrame,
    track_ids: NDArray[np.integer],
    category_id: int,
    *,
    min_iou: float = MIN_IOU,
    min_height_px: int = MIN_HEIGHT_PX,
) -> CountedFrame:
    """Returns what counts of a class in a frame, for measures of other libraries; see `score_drive` for arguments."""
    mine, theirs = predicted.category_ids == category_id, truth.instances.category_ids == category_id
    predicted, objects = predicted[mine], truth.instances[theirs]
    counts = _counts(objects, min_height_px)
    iou = _masks(predicted).iou(_masks(objects))
    pairs = matched_pairs(iou, min_iou)
    ignored = _on_ignored(predicted, objects, iou, counts)
    for row, column in pairs:
        ignored[row] = not counts[column]
    return CountedFrame(truth.object_ids[theirs][counts], track_ids[mine][~ignored], iou[~ignored][:, counts].T)


class _Tally:
    """Counts one class over the frames."""

    def __init__(self, category_id: int, min_iou: float, min_height_px: int) -> None:
        self._category_id, self._min_iou, self._min_height_px = category_id, min_iou, min_height_px
        self._truth = self._false = self._switches = 0
        self._ious: list[float] = []
        self._objects: set[int] = set()
        self._found: set[int] = set()
        self._last_track: dict[int, int] = {}
        self._pairs: set[tuple[int, int]] = set()

    def add(self, predicted: Instances, truth: TruthFrame, tracks: NDArray[np.integer]) -> None:
        mine = predicted.category_ids == self._category_id
        predicted, tracks = predicted[mine], tracks[mine]
        theirs = truth.instances.category_ids == self._category_id
        objects, object_ids = truth.instances[theirs], truth.object_ids[theirs]
        counts = _counts(objects, self._min_height_px)
        self._truth += int(counts.sum())
        self._objects.update(object_ids[counts].tolist())

        iou = _masks(predicted).iou(_masks(objects))
        matched = np.zeros(len(predicted), bool)
        for row, column in matched_pairs(iou, self._min_iou):
            matched[row] = True
            if counts[column]:
                self._match(int(object_ids[column]), int(tracks[row]), float(iou[row, column]))
        self._false += int((~matched & ~_on_ignored(predicted, objects, iou, counts)).sum())

    def _match(self, object_id: int, track: int, iou: float) -> None:
        self._ious.append(iou)
        self._found.add(object_id)
        if track > 0:
            self._switches += self._last_track.get(object_id, track) != track
            self._last_track[object_id] = track
            self._pairs.add((object_id, track))

    def score(self, tracked: bool) -> ClassScore:
        return ClassScore(
            category_id=self._category_id,
            truth=self._truth,
            found=len(self._ious),
            false=self._false,
            mean_iou=float(np.mean(self._ious)) if self._ious else float("nan"),
            objects=len(self._objects),
            objects_found=len(self._found),
            id_switches=self._switches if tracked else None,
            tracks=len(self._pairs) if tracked else None,
        )


def _masks(instances: Instances) -> RleMasks:
    if instances.masks is None:
        raise InputError("expected predictions with masks, got boxes only: use a model that predicts masks.")
    return instances.masks.to_rle()


def _counts(objects: Instances, min_height_px: int) -> NDArray[np.bool_]:
    """Returns (M,) whether each object is large enough to count."""
    heights: NDArray[np.float32] = objects.boxes[:, 3] - objects.boxes[:, 1]
    return heights >= min_height_px


def _on_ignored(
    predicted: Instances, objects: Instances, iou: NDArray[np.float64], counts: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Returns (N,) whether each prediction lies mostly on objects that do not count."""
    on_small: NDArray[np.float64] = _share_on(predicted, objects, iou)[:, ~counts].sum(axis=1)
    return on_small >= MOSTLY


def _share_on(predicted: Instances, objects: Instances, iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (N, M) fraction of each prediction's pixels that lie on each object."""
    mine, theirs = _masks(predicted).area[:, None], _masks(objects).area[None]
    shared = iou * (mine + theirs) / (1 + iou)
    return np.asarray(shared / np.maximum(mine, 1))


def _check(
    predictions: Sequence[Instances], truths: Sequence[TruthFrame], track_ids: Sequence[NDArray[np.integer]] | None
) -> None:
    if len(predictions) != len(truths) or (track_ids is not None and len(track_ids) != len(predictions)):
        given = f", and {len(track_ids)} of track ids" if track_ids is not None else ""
        raise InputError(
            f"expected predictions and truths of the same frames, got {len(predictions)} frames of predictions and "
            f"{len(truths)} of truth{given}: pass one entry per frame."
        )
    for number, (predicted, truth) in enumerate(zip(predictions, truths, strict=True)):
        if predicted.image_size != truth.instances.image_size:
            raise InputError(
                f"frame {number}: expected predictions for an image of {truth.instances.image_size}, got "
                f"{predicted.image_size}: score the frames as they were rendered, without scaling."
            )
        if track_ids is not None and len(track_ids[number]) != len(predicted):
            raise InputError(
                f"frame {number}: expected a track id for each of {len(predicted)} predictions, "
                f"got {len(track_ids[number])}."
            )
