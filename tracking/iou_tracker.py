"""The plain IoU tracker: predict, match, start, age, drop.

Boxes move at constant velocity between frames (as in SORT, Bewley et al. 2016), overlap is measured on boxes and on
masks moved along, pairs are made by optimal assignment in two stages, the surest first (as in ByteTrack, Zhang et
al. 2022). Everything is decided by time, never by a count of frames at an assumed rate.
"""

from __future__ import annotations

from dataclasses import replace
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.tracking.association import Rows, associate, box_iou
from roadmask.tracking.config import IouTrackerConfig
from roadmask.tracking.motion import Floats, centres, predict, smooth_velocity
from roadmask.tracking.track_table import TrackTable
from roadmask.tracking.tracks import LostTracks, Tracks, TrackState

NS = 1_000_000_000


class IouTracker:
    """Follows instances of one camera over time.

    An id is given when a track is first seen and is never given again, so ids of tracks that were never confirmed are
    left out of the confirmed ones: the ids of confirmed tracks grow, with gaps. The same input gives the same ids;
    the order of the instances within a frame does not matter.

    Args:
        config: settings.
        first_id: id of the first track, from 1 up; `next_id` of an earlier tracker lets its ids go on.

    Raises:
        InputError: `first_id` is below 1.
    """

    def __init__(self, config: IouTrackerConfig | None = None, *, first_id: int = 1) -> None:
        if first_id < 1:
            raise InputError(f"expected first_id from 1 up (0 means no track), got {first_id}.")
        self.config = config or IouTrackerConfig()
        self._next_id = first_id
        self._confirm_after_ns = _nanoseconds(self.config.confirm_after_s)
        self._keep_tentative_ns = _nanoseconds(self.config.keep_tentative_s)
        self._keep_lost_ns = _nanoseconds(self.config.keep_lost_s)
        self.start_epoch()

    @property
    def next_id(self) -> int:
        """Id that the next new track will get."""
        return self._next_id

    def start_epoch(self) -> None:
        """Ends all tracks: the next frame has another picture size, rotation or clock. Ids go on."""
        self._tracks = TrackTable.empty()
        self._now_ns: int | None = None
        self._image_size: tuple[int, int] | None = None

    def update(self, instances: Instances, timestamp_ns: int) -> Tracks:
        """Takes the instances of the next frame.

        Args:
            instances: what a segmenter found, with masks or with boxes only.
            timestamp_ns: capture time; must be later than that of the frame before.

        Returns:
            The instances in the order they came, each with its track; 0 where a weak instance (below
            `score_confident`) belongs to none.

        Raises:
            InputError: time stands still or goes back, or the picture size changed within an epoch.
        """
        now = index(timestamp_ns)
        self._check_frame(instances, now)
        order = _canonical_order(instances)
        seen = instances[order]
        # Encoded before they are sorted, so that whoever stores these instances finds the masks encoded.
        masks = None if instances.masks is None else instances.masks.to_rle()[order]
        boxes = seen.boxes.astype(np.float64)

        # Forget tracks that were last seen too long ago, even if no frame came in between.
        tracks = self._tracks[now - self._tracks.last_seen_ns <= self._keep_lost_ns]

        # Predict where each track is now, and measure what it overlaps there.
        predicted = predict(tracks.boxes, tracks.velocities, (now - tracks.last_seen_ns) / NS)
        overlap = self._overlap(tracks, predicted, boxes, seen.labels, masks)

        # Match the surest first: confirmed tracks with confident instances, then all that is left.
        confident = seen.scores >= self.config.score_confident
        matched_track, matched_instance = associate(
            overlap, np.flatnonzero(tracks.confirmed), np.flatnonzero(confident), self.config.overlap_min
        )
        rest = (_without(len(tracks), matched_track), _without(len(seen), matched_instance))
        more_tracks, more_instances = associate(overlap, *rest, self.config.overlap_min)
        matched_track = np.concatenate([matched_track, more_tracks])
        matched_instance = np.concatenate([matched_instance, more_instances])

        # Update what was seen again, and confirm what was seen often and long enough.
        rles = np.full(len(seen), None, np.object_)
        if masks is not None:
            rles[:] = masks.counts
        tracks = self._seen_again(tracks, matched_track, boxes[matched_instance], rles[matched_instance], now)

        # Start tracks from confident instances that nothing claimed.
        newborn = _without(len(seen), matched_instance)
        newborn = newborn[confident[newborn]]
        born = self._born(seen.labels[newborn], boxes[newborn], rles[newborn], now)
        row_of_instance = np.full(len(seen), -1, np.intp)
        row_of_instance[matched_instance] = matched_track
        row_of_instance[newborn] = len(tracks) + np.arange(len(newborn))
        tracks = tracks.followed_by(born)

        # Drop tentative tracks that were missed for too long; the overlong lost ones went at the start.
        alive = tracks.confirmed | (now - tracks.last_seen_ns <= self._keep_tentative_ns)
        self._tracks = tracks[alive]
        self._now_ns = now
        self._image_size = instances.image_size
        unsorted = np.empty_like(row_of_instance)
        unsorted[order] = row_of_instance
        return self._report(instances, tracks, unsorted, now)

    def _check_frame(self, instances: Instances, now: int) -> None:
        if self._now_ns is not None and now <= self._now_ns:
            raise InputError(
                f"expected a frame later than {self._now_ns} ns, got {now} ns: pass frames in the order of capture, "
                "and call start_epoch() where the clock restarts."
            )
        if self._image_size is not None and instances.image_size != self._image_size:
            raise InputError(
                f"expected a picture of {self._image_size} as before, got {instances.image_size}: "
                "call start_epoch() where the picture size changes."
            )

    def _overlap(
        self, tracks: TrackTable, predicted: Floats, boxes: Floats, labels: NDArray[np.int64], masks: RleMasks | None
    ) -> Floats:
        """Returns the (T, N) overlap of predicted tracks with instances, 0 across classes."""
        overlap = box_iou(predicted, boxes)
        overlap[tracks.labels[:, None] != labels] = 0
        weight = self.config.mask_weight
        with_mask = np.array([mask is not None for mask in tracks.masks], np.bool_)
        # Masks cannot overlap where boxes do not.
        near = np.flatnonzero(with_mask & (overlap > 0).any(axis=1))
        if masks is None or weight == 0 or not len(near):
            return overlap
        moved = RleMasks(tuple(tracks.masks[near]), masks.image_size).translated(
            centres(predicted[near]) - centres(tracks.boxes[near])
        )
        mixed = (1 - weight) * overlap[near] + weight * moved.iou(masks)
        overlap[near] = np.where(overlap[near] > 0, mixed, 0)
        return overlap

    def _seen_again(
        self, tracks: TrackTable, rows: Rows, boxes: Floats, rles: NDArray[np.object_], now: int
    ) -> TrackTable:
        """Returns the tracks after those in `rows` were seen at `boxes`."""
        elapsed_s = (now - tracks.last_seen_ns[rows]) / NS
        measured = (centres(boxes) - centres(tracks.boxes[rows])) / elapsed_s[:, None]
        velocities = tracks.velocities.copy()
        velocities[rows] = smooth_velocity(
            velocities[rows], measured, elapsed_s, tracks.hits[rows], self.config.velocity_smoothing_s
        )
        new_boxes, masks = tracks.boxes.copy(), tracks.masks.copy()
        last_seen_ns, hits = tracks.last_seen_ns.copy(), tracks.hits.copy()
        new_boxes[rows], masks[rows], last_seen_ns[rows] = boxes, rles, now
        hits[rows] += 1
        enough = (hits >= self.config.confirm_hits) & (last_seen_ns - tracks.first_seen_ns >= self._confirm_after_ns)
        return replace(
            tracks,
            boxes=new_boxes,
            masks=masks,
            velocities=velocities,
            last_seen_ns=last_seen_ns,
            hits=hits,
            confirmed=tracks.confirmed | enough,
        )

    def _born(self, labels: NDArray[np.int64], boxes: Floats, rles: NDArray[np.object_], now: int) -> TrackTable:
        """Returns new tracks and uses up their ids."""
        count = len(labels)
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        times = np.full(count, now, np.int64)
        return TrackTable(
            ids=ids,
            labels=labels,
            boxes=boxes,
            velocities=np.zeros((count, 2)),
            first_seen_ns=times,
            last_seen_ns=times,
            hits=np.ones(count, np.int64),
            confirmed=np.full(count, self.config.confirm_hits <= 1 and self._confirm_after_ns == 0),
            masks=rles,
        )

    def _report(self, instances: Instances, tracks: TrackTable, rows: Rows, now: int) -> Tracks:
        """Describes the frame: `rows` are the tracks of the instances, -1 for none."""
        has_track = rows >= 0
        own = rows[has_track]

        def of_track(values: NDArray[Any]) -> NDArray[Any]:
            filled = np.zeros((len(rows), *values.shape[1:]), values.dtype)
            filled[has_track] = values[own]
            return filled

        unseen = tracks[tracks.last_seen_ns < now]
        lost = unseen[unseen.confirmed]
        lost_ns = now - lost.last_seen_ns
        waiting = ~unseen.confirmed & (now - unseen.last_seen_ns <= self._keep_tentative_ns)
        states = np.where(tracks.confirmed, TrackState.CONFIRMED, TrackState.TENTATIVE).astype(np.uint8)
        return Tracks(
            instances=instances,
            track_ids=of_track(tracks.ids),
            states=of_track(states),
            ages_ns=of_track(now - tracks.first_seen_ns),
            velocities=of_track(tracks.velocities.astype(np.float32)),
            lost=LostTracks(
                track_ids=lost.ids,
                labels=lost.labels,
                boxes=predict(lost.boxes, lost.velocities, lost_ns / NS).astype(np.float32),
                lost_ns=lost_ns,
            ),
            tentative_unseen=unseen.ids[waiting],
        )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NS)


def _canonical_order(instances: Instances) -> Rows:
    """Best score first, then by label and box: the order of rows must not decide ids or ties."""
    x1, y1, x2, y2 = instances.boxes.T
    return np.lexsort((y2, x2, y1, x1, instances.labels, -instances.scores))


def _without(count: int, rows: Rows) -> Rows:
    """Returns the rows below `count` that are not in `rows`."""
    left = np.ones(count, np.bool_)
    left[rows] = False
    return np.flatnonzero(left)
