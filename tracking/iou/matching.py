"""Who goes on with which track in a frame: stage by stage, the surest pairs first.

Pairs are made by optimal assignment, confident instances before weak ones (as in ByteTrack, Zhang et al. 2022). Masks
are looked into only where boxes leave a choice.
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
"""Boxes that overlap by at least this are of one thing, unless another box ..."""
RIVAL_SHARE = 0.5
"""... overlaps one of them by this share of it or more."""
FAR_SPEED = 20.0
"""What does not overlap must not have been faster, in multiples of its size per second."""
FAR_SIZE_RATIO_MIN = 0.6
"""What does not overlap must at least be as large, up to this factor."""
SURE_SIZE_RATIO_MIN = 0.8
"""What is as large as a thing seen a moment ago, up to this factor, is that thing whatever its score."""

RECALL_SIZE_RATIO_MIN = 0.8
"""What was lost and does not touch where it should be must be as large as it should be, up to this factor."""
RECALL_HITS = 3
"""Sightings from which on growth is told well enough to look for a lost track by it."""

_NONE = np.zeros(0, np.intp)


@dataclass(frozen=True, eq=False)
class Sightings:
    """N instances of a frame, in an order that does not depend on the one they came in."""

    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""
    category_ids: NDArray[np.int64]
    """(N,) COCO category ids."""
    scores: Floats
    """(N,) confidence, 0 to 1."""
    confident: NDArray[np.bool_]
    """(N,) whether each is likely to be a thing."""
    masks: FrameMasks | None
    """The masks of the frame."""
    order: Rows
    """(N,) position of each in the frame, and so among its masks."""

    @classmethod
    def of(cls, instances: Instances, score_confident: float) -> Sightings:
        """Takes them best score first, then by category_id and box: the order of rows must not decide ids or ties."""
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
    """Tracks and instances that were paired so far, and those that are free."""

    def __init__(self, tracks: int, instances: int) -> None:
        self._free_tracks, self._free_instances = np.ones(tracks, np.bool_), np.ones(instances, np.bool_)
        self._rows: list[Rows] = []
        self._columns: list[Rows] = []

    def add(self, rows: Rows, columns: Rows) -> None:
        """Adds pairs of free tracks and instances."""
        self._free_tracks[rows] = False
        self._free_instances[columns] = False
        self._rows.append(rows)
        self._columns.append(columns)

    @property
    def tracks(self) -> Rows:
        """The paired tracks."""
        return np.concatenate(self._rows)

    @property
    def instances(self) -> Rows:
        """(P,) the instance of each."""
        return np.concatenate(self._columns)

    @property
    def free_tracks(self) -> Rows:
        """Tracks without an instance."""
        return np.flatnonzero(self._free_tracks)

    @property
    def free_instances(self) -> Rows:
        """Instances without a track."""
        return np.flatnonzero(self._free_instances)


def class_iou(predicted: Floats, category_ids: NDArray[np.int64], seen: Sightings) -> Floats:
    """Returns the (T, N) box IoU of tracks where they should be with instances, 0 across classes."""
    iou = box_iou(predicted, seen.boxes)
    iou *= category_ids[:, None] == seen.category_ids
    return iou


def where_new_ones_are(
    tracks: TrackTable, predicted: Floats, iou: Floats, still: Floats, seen: Sightings
) -> tuple[Floats, Floats]:
    """Looks for tracks that were seen once also where they were: nobody knows their velocity yet.

    Args:
        tracks: T tracks.
        predicted: (T, 4) boxes where they should be if they moved as others do.
        iou: (T, N) of those boxes, see `class_iou`.
        still: (T, 4) boxes where they are if they do not.
        seen: N instances.

    Returns:
        Both with the better place of each.
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
    """Pairs tracks with instances.

    Args:
        tracks: T tracks.
        predicted: (T, 4) boxes where they should be.
        iou: (T, N) of those boxes, see `class_iou`.
        seen: N instances.
        elapsed_s: (T,) time since each was seen.
        recent: (T,) whether each was seen in the frame before.
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
    # Confirmed tracks with confident instances, then all that is left.
    first_rows, first_columns = np.flatnonzero(tracks.confirmed[rows]), np.flatnonzero(seen.confident[columns])
    some, others = associate(overlap, first_rows, first_columns, config.overlap_min)
    pairs.add(rows[some], columns[others])
    rest = (_without(len(rows), some), _without(len(columns), others))
    some, others = associate(overlap, *rest, config.overlap_min)
    pairs.add(rows[some], columns[others])
    # What is left moved unexpectedly, or all but a part of it is hidden. A weak instance that far from where the
    # track is expected is rather a false one: it would carry the track off.
    rows, columns = pairs.free_tracks, pairs.free_instances
    rows, columns = rows[~late[rows]], columns[seen.confident[columns]]
    pairs.add(*_far(tracks, predicted, seen, rows, columns, elapsed_s, recent, config))
    rows, columns = pairs.free_tracks, pairs.free_instances
    columns = columns[seen.confident[columns]]
    pairs.add(*_recalled(tracks, seen, rows, columns, elapsed_s, recent, config))
    return pairs


def without_duplicates(free: Rows, paired: Rows, seen: Sightings, duplicate_iou: float) -> Rows:
    """Returns the free instances but those that show again what is paired already, or what a surer free one shows.

    Args:
        free: instances without a track.
        paired: instances with one.
        seen: N instances.
        duplicate_iou: boxes of one class, and their masks where there are any, that overlap by more show one thing.
    """
    if duplicate_iou >= 1 or not len(free):
        return free
    others = np.concatenate([paired, free])
    same = box_iou(seen.boxes[free], seen.boxes[others]) > duplicate_iou
    same &= seen.category_ids[free][:, None] == seen.category_ids[others]
    # Of two free ones the surer stays: instances come in the order of their scores.
    same[:, len(paired) :] &= free[:, None] > free
    rows, columns = same.nonzero()
    if len(rows) and seen.masks is not None:
        # Two people behind one another share their box, but not their mask.
        alike = seen.masks[seen.order[free[rows]]].iou(seen.masks[seen.order[others[columns]]]).diagonal()
        rows = rows[alike > duplicate_iou]
    return free[_without(len(free), rows)]


def _clear(iou: Floats) -> tuple[Rows, Rows]:
    """Pairs what overlaps well, where no other box comes near: there is nothing to decide, and no mask to ask."""
    if not iou.size:
        return _NONE, _NONE
    # Whatever comes near its best box has a rival there, and so has the box.
    rival = iou >= RIVAL_SHARE * iou.max(axis=1, keepdims=True)
    rival |= iou >= RIVAL_SHARE * iou.max(axis=0)
    alone = (np.count_nonzero(rival, axis=1) == 1)[:, None] & (np.count_nonzero(rival, axis=0) == 1)
    alone &= iou >= CLEAR_IOU
    rows, columns = alone.nonzero()
    return rows, columns


def _overlap(
    tracks: TrackTable, predicted: Floats, iou: Floats, seen: Sightings, rows: Rows, columns: Rows, weight: float
) -> Floats:
    """Returns the (R, C) overlap of some tracks with some instances: the mean of box IoU and mask IoU."""
    overlap: Floats = iou[rows[:, None], columns]
    if seen.masks is None or weight == 0:
        return overlap
    # Masks cannot overlap where boxes do not.
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
    """Pairs what is left by generalised IoU: things that hardly overlap, or not at all but are as large."""
    if config.far_overlap_min >= 1 or not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    from_boxes, to_boxes = predicted[rows], seen.boxes[columns]
    near = generalized_iou(from_boxes, to_boxes)
    near[tracks.category_ids[rows][:, None] != seen.category_ids[columns]] = -1
    apart = box_iou(from_boxes, to_boxes) == 0
    alike, seen_before = size_ratio(from_boxes, to_boxes), recent[rows][:, None]
    in_reach = centre_distance(from_boxes, to_boxes) <= FAR_SPEED * elapsed_s[rows][:, None]
    near[apart & ~(seen_before & (alike >= FAR_SIZE_RATIO_MIN) & in_reach)] = -1
    # What may be false must be nearer, unless it is as large as what was seen a moment ago.
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
    """Pairs lost tracks with what is left where they would be if they moved evenly, in space or in the image."""
    overlap_min = config.recall_overlap_min
    rows = rows[~recent[rows] & (tracks.hits[rows] >= RECALL_HITS)]
    if overlap_min >= 1 or not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    to_boxes, whole, drift = seen.boxes[columns], tracks.extents[rows], tracks.drift[rows]
    velocities, lost_s = tracks.velocities[rows], elapsed_s[rows]
    moved = shifted(nearer(whole, velocities, tracks.growth[rows], lost_s), drift)
    in_image = shifted(whole, velocities * lost_s[:, None] + drift)
    near = np.maximum(generalized_iou(moved, to_boxes), generalized_iou(in_image, to_boxes))
    # What does not touch must at least be as large.
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
