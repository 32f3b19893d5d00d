"""Matches the instances of a frame with tracks in stages, the most certain pairs first.

Pairs are made by optimal assignment, confident instances before low-score ones (as in ByteTrack, Zhang et al. 2022).
Masks are compared only where boxes are ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.tracking.iou.association import Rows, associate, box_iou, centre_distance, generalized_iou, size_ratio
from roadmask.tracking.iou.config import IouTrackerConfig
from roadmask.tracking.iou.motion import Floats, centres, nearer, shifted
from roadmask.tracking.iou.seen_masks import FrameMasks
from roadmask.tracking.iou.track_table import TrackTable

CLEAR_IOU = 0.5
"""Minimum IoU of two boxes of the same thing, unless another box ..."""
RIVAL_SHARE = 0.5
"""... overlaps one of them by at least this share of their IoU."""
FAR_SPEED = 20.0
"""Maximum speed of a thing whose boxes do not overlap, in multiples of its size per second."""
FAR_SIZE_RATIO_MIN = 0.6
"""Minimum size ratio of boxes that do not overlap."""
SURE_SIZE_RATIO_MIN = 0.8
"""Minimum size ratio with the last detection at which the score of an instance is ignored."""

RECALL_SIZE_RATIO_MIN = 0.8
"""Minimum size ratio of a lost track and an instance that its predicted box does not touch."""
RECALL_HITS = 3
"""Minimum number of detections after which the growth of a track is known well enough to recall it."""

_NONE = np.zeros(0, np.intp)


@dataclass(frozen=True, eq=False)
class Sightings:
    """N instances of a frame, in an order that does not depend on the order of the input."""

    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids."""
    scores: Floats
    """(N,) scores, 0 to 1."""
    confident: NDArray[np.bool_]
    """(N,) whether the score of each is at least `score_confident`."""
    masks: FrameMasks | None
    """Masks of the frame in the order of the input; None if there are none."""
    order: Rows
    """(N,) row of each instance in the input, and so in `masks`."""

    @classmethod
    def of(cls, instances: Instances, score_confident: float) -> Sightings:
        """Sorts instances by score, category id and box, so that the order of the input does not affect ids or ties."""
        scores = instances.scores
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        if (ranked[1:] == ranked[:-1]).any():
            x1, y1, x2, y2 = instances.boxes.T
            order = np.lexsort((y2, x2, y1, x1, instances.category_ids, -scores))
            ranked = scores[order]
        boxes = instances.boxes[order].astype(np.float64)
        return cls(
            boxes,
            instances.category_ids[order],
            ranked.astype(np.float64),
            ranked >= score_confident,
            instances.masks,
            order,
        )


class Pairs:
    """Tracks and instances that are matched so far, and those that are not."""

    def __init__(self, tracks: int, instances: int) -> None:
        self._free_tracks, self._free_instances = np.ones(tracks, np.bool_), np.ones(instances, np.bool_)
        self._rows: list[Rows] = []
        self._columns: list[Rows] = []

    def add(self, rows: Rows, columns: Rows) -> None:
        """Adds pairs of unmatched tracks and instances."""
        self._free_tracks[rows] = False
        self._free_instances[columns] = False
        self._rows.append(rows)
        self._columns.append(columns)

    @property
    def tracks(self) -> Rows:
        """(P,) matched tracks."""
        return np.concatenate(self._rows)

    @property
    def instances(self) -> Rows:
        """(P,) instance of each matched track."""
        return np.concatenate(self._columns)

    @property
    def free_tracks(self) -> Rows:
        """Unmatched tracks."""
        return np.flatnonzero(self._free_tracks)

    @property
    def free_instances(self) -> Rows:
        """Unmatched instances."""
        return np.flatnonzero(self._free_instances)


def class_iou(predicted: Floats, category_ids: NDArray[np.int64], seen: Sightings) -> Floats:
    """Returns the (T, N) IoU of predicted boxes with those of instances, 0 across classes."""
    iou = box_iou(predicted, seen.boxes)
    iou *= category_ids[:, None] == seen.category_ids
    return iou


def where_new_ones_are(
    tracks: TrackTable, predicted: Floats, iou: Floats, still: Floats, seen: Sightings
) -> tuple[Floats, Floats]:
    """Searches for tracks with one detection also at the place where they were, since their velocity is unknown.

    Args:
        tracks: T tracks.
        predicted: (T, 4) predicted boxes of tracks that move like the others.
        iou: (T, N) IoU of these boxes, see `class_iou`.
        still: (T, 4) predicted boxes of tracks that do not move.
        seen: N instances.

    Returns:
        `predicted` and `iou` with the better place of each track.
    """
    new = np.flatnonzero(tracks.hits == 1)
    if not len(new) or not len(seen.boxes):
        return predicted, iou
    other = class_iou(still[new], tracks.category_ids[new], seen)
    better = other.max(axis=1) > iou[new].max(axis=1)
    if not better.any():
        return predicted, iou
    predicted, iou = predicted.copy(), iou.copy()
    predicted[new[better]], iou[new[better]] = still[new[better]], other[better]
    return predicted, iou


def match(
    tracks: TrackTable,
    predicted: Floats,
    iou: Floats,
    seen: Sightings,
    elapsed_s: Floats,
    recent: NDArray[np.bool_],
    config: IouTrackerConfig,
) -> Pairs:
    """Matches tracks with instances.

    Args:
        tracks: T tracks.
        predicted: (T, 4) predicted boxes.
        iou: (T, N) IoU of these boxes, see `class_iou`.
        seen: N instances.
        elapsed_s: (T,) time since the last detection of each track in seconds.
        recent: (T,) whether each track was detected in the previous frame.
        config: settings.
    """
    pairs = Pairs(*iou.shape)
    late = elapsed_s > config.follow_lost_s
    if late.any():
        iou = np.where(late[:, None], 0, iou)
    pairs.add(*_clear(iou))
    rows, columns = pairs.free_tracks, pairs.free_instances
    if not len(rows) or not len(columns):
        return pairs
    overlap = _overlap(tracks, predicted, iou, seen, rows, columns, config.mask_weight)
    # Confirmed tracks with confident instances, then all others.
    first_rows, first_columns = np.flatnonzero(tracks.confirmed[rows]), np.flatnonzero(seen.confident[columns])
    some, others = associate(overlap, first_rows, first_columns, config.overlap_min)
    pairs.add(rows[some], columns[others])
    rest = (_without(len(rows), some), _without(len(columns), others))
    some, others = associate(overlap, *rest, config.overlap_min)
    pairs.add(rows[some], columns[others])
    # The rest moved unexpectedly, or is mostly hidden. A low-score instance that far from a predicted box is more
    # likely a false positive, which would pull the track away.
    rows, columns = pairs.free_tracks, pairs.free_instances
    rows, columns = rows[~late[rows]], columns[seen.confident[columns]]
    pairs.add(*_far(tracks, predicted, seen, rows, columns, elapsed_s, recent, config))
    rows, columns = pairs.free_tracks, pairs.free_instances
    columns = columns[seen.confident[columns]]
    pairs.add(*_recalled(tracks, seen, rows, columns, elapsed_s, recent, config))
    return pairs


def without_duplicates(free: Rows, paired: Rows, seen: Sightings, duplicate_iou: float) -> Rows:
    """Returns the unmatched instances without duplicates of matched instances and of unmatched ones with higher scores.

    Args:
        free: unmatched instances.
        paired: matched instances.
        seen: N instances.
        duplicate_iou: IoU of boxes, and of masks if there are any, above which instances of one class are duplicates.
    """
    if duplicate_iou >= 1 or not len(free):
        return free
    others = np.concatenate([paired, free])
    same = box_iou(seen.boxes[free], seen.boxes[others]) > duplicate_iou
    same &= seen.category_ids[free][:, None] == seen.category_ids[others]
    # Of two unmatched ones, the one with the higher score stays: instances are in the order of their scores.
    same[:, len(paired) :] &= free[:, None] > free
    rows, columns = same.nonzero()
    if len(rows) and seen.masks is not None:
        # Two people behind each other share a box, but not a mask.
        alike = seen.masks[seen.order[free[rows]]].iou(seen.masks[seen.order[others[columns]]]).diagonal()
        rows = rows[alike > duplicate_iou]
    return free[_without(len(free), rows)]


def _clear(iou: Floats) -> tuple[Rows, Rows]:
    """Matches boxes that overlap well and have no rival, which needs no assignment and no masks."""
    if not iou.size:
        return _NONE, _NONE
    # A box near the best one of a track is a rival, and a track near the best one of a box is too.
    rival = iou >= RIVAL_SHARE * iou.max(axis=1, keepdims=True)
    rival |= iou >= RIVAL_SHARE * iou.max(axis=0)
    alone = (np.count_nonzero(rival, axis=1) == 1)[:, None] & (np.count_nonzero(rival, axis=0) == 1)
    alone &= iou >= CLEAR_IOU
    rows, columns = alone.nonzero()
    return rows, columns


def _overlap(
    tracks: TrackTable, predicted: Floats, iou: Floats, seen: Sightings, rows: Rows, columns: Rows, weight: float
) -> Floats:
    """Returns the (R, C) overlap of some tracks with some instances: the weighted mean of box IoU and mask IoU."""
    overlap: Floats = iou[rows[:, None], columns]
    if seen.masks is None or weight == 0:
        return overlap
    # Masks of boxes that do not overlap do not overlap either.
    near, asked = np.nonzero(overlap)
    some, row_of_pair = np.unique(rows[near], return_inverse=True)
    moved = centres(predicted[some]) - tracks.seen_centres[some]
    mask_iou = tracks.masks[some].iou(row_of_pair, moved, seen.masks, seen.order[columns[asked]])
    of_boxes = overlap[near, asked]
    mixed = (1 - weight) * of_boxes + weight * mask_iou
    overlap[near, asked] = np.where(np.isnan(mask_iou), of_boxes, mixed)
    return overlap


def _far(
    tracks: TrackTable,
    predicted: Floats,
    seen: Sightings,
    rows: Rows,
    columns: Rows,
    elapsed_s: Floats,
    recent: NDArray[np.bool_],
    config: IouTrackerConfig,
) -> tuple[Rows, Rows]:
    """Matches the rest by generalised IoU: boxes that hardly overlap, or do not overlap but are equally large."""
    if config.far_overlap_min >= 1 or not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    from_boxes, to_boxes = predicted[rows], seen.boxes[columns]
    near = generalized_iou(from_boxes, to_boxes)
    near[tracks.category_ids[rows][:, None] != seen.category_ids[columns]] = -1
    apart = box_iou(from_boxes, to_boxes) == 0
    alike, seen_before = size_ratio(from_boxes, to_boxes), recent[rows][:, None]
    in_reach = centre_distance(from_boxes, to_boxes) <= FAR_SPEED * elapsed_s[rows][:, None]
    near[apart & ~(seen_before & (alike >= FAR_SIZE_RATIO_MIN) & in_reach)] = -1
    # A low-score instance must be nearer, unless it has the size that the track had a moment ago.
    least = config.far_overlap_min + config.far_doubt * (1 - seen.scores[columns])
    near[(near < least) & ~(seen_before & (alike >= SURE_SIZE_RATIO_MIN))] = -1
    every_row, every_column = np.arange(len(rows)), np.arange(len(columns))
    some, others = associate((near + 1) / 2, every_row, every_column, (config.far_overlap_min + 1) / 2)
    return rows[some], columns[others]


def _recalled(
    tracks: TrackTable,
    seen: Sightings,
    rows: Rows,
    columns: Rows,
    elapsed_s: Floats,
    recent: NDArray[np.bool_],
    config: IouTrackerConfig,
) -> tuple[Rows, Rows]:
    """Matches lost tracks with the rest near where they would be if they moved evenly, in space or in the image."""
    overlap_min = config.recall_overlap_min
    rows = rows[~recent[rows] & (tracks.hits[rows] >= RECALL_HITS)]
    if overlap_min >= 1 or not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    to_boxes, whole, drift = seen.boxes[columns], tracks.extents[rows], tracks.drift[rows]
    velocities, lost_s = tracks.velocities[rows], elapsed_s[rows]
    moved = shifted(nearer(whole, velocities, tracks.growth[rows], lost_s), drift)
    in_image = shifted(whole, velocities * lost_s[:, None] + drift)
    near = np.maximum(generalized_iou(moved, to_boxes), generalized_iou(in_image, to_boxes))
    # Boxes that do not touch must be equally large.
    near[(near < 0) & (size_ratio(moved, to_boxes) < RECALL_SIZE_RATIO_MIN)] = -1
    near[tracks.category_ids[rows][:, None] != seen.category_ids[columns]] = -1
    every_row, every_column = np.arange(len(rows)), np.arange(len(columns))
    some, others = associate((near + 1) / 2, every_row, every_column, (overlap_min + 1) / 2)
    return rows[some], columns[others]


def _without(count: int, rows: Rows) -> Rows:
    """Returns the rows below `count` that are not in `rows`."""
    left = np.ones(count, np.bool_)
    left[rows] = False
    return np.flatnonzero(left)
