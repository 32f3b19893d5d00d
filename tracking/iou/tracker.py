"""The IoU tracker: predict, match, start, age, drop.

Boxes move at constant velocity between frames (as in SORT, Bewley et al. 2016). `matching` decides which instance
continues which track. A turn of the camera is estimated from the boxes (see `camera_motion`). All decisions depend on
time, not on a count of frames at an assumed rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.tracking.iou.association import Rows
from roadmask.tracking.iou.camera_motion import common_displacement, stands_still
from roadmask.tracking.iou.config import IouTrackerConfig
from roadmask.tracking.iou.matching import Pairs, Sightings, class_iou, match, where_new_ones_are, without_duplicates
from roadmask.tracking.iou.motion import (
    NS,
    Floats,
    centres,
    displacement,
    shifted,
    smooth_growth,
    smooth_velocity,
    warped,
    whole_boxes,
)
from roadmask.tracking.iou.seen_masks import SeenMasks
from roadmask.tracking.iou.state import IouTrackerState
from roadmask.tracking.iou.track_table import TrackTable
from roadmask.tracking.tracks import LostTracks, Tracks, TrackState

CAMERA_REACH = 0.16
"""Maximum displacement by a turn of the camera between two frames, in multiples of the image's sides."""


class IouTracker:
    """Follows the instances of one camera over time.

    A track gets its id at its first detection, and an id is never reused. The ids of confirmed tracks therefore
    increase with gaps, which belong to tracks that were never confirmed. The same input gives the same ids, whatever
    the order of the instances within a frame.

    The tracker keeps references to the masks and reads them later, so the caller must not modify them.

    Args:
        config: settings; None uses the defaults.
        first_id: id of the first track, at least 1. The `next_id` of an earlier tracker continues its ids.

    Raises:
        InputError: `first_id` is below 1.
    """

    def __init__(self, config: IouTrackerConfig | None = None, *, first_id: int = 1) -> None:
        if first_id < 1:
            raise InputError(f"expected first_id of at least 1 (0 means no track), got {first_id}.")
        self.config = config or IouTrackerConfig()
        self._next_id = first_id
        self._confirm_after_ns = round(self.config.confirm_after_s * NS)
        self._keep_tentative_ns = round(self.config.keep_tentative_s * NS)
        self._recall_tentative_ns = round(max(self.config.keep_tentative_s, self.config.recall_tentative_s) * NS)
        self._keep_lost_ns = round(self.config.keep_lost_s * NS)
        self.start_epoch()

    @property
    def next_id(self) -> int:
        """Id of the next new track."""
        return self._next_id

    def start_epoch(self) -> None:
        """Ends all tracks, because the next frame has another image size, rotation or clock. Ids continue."""
        self._tracks = TrackTable.empty()
        self._now_ns: int | None = None
        self._image_size: tuple[int, int] | None = None

    def state(self) -> IouTrackerState:
        """Returns the current state; cheap enough to be called after every frame."""
        return IouTrackerState(self._next_id, self._now_ns, self._image_size, self._tracks)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from a state; see `Tracker.restore`.

        Raises:
            InputError: the arrays are not the state of an `IouTracker`.
        """
        state = IouTrackerState.from_arrays(arrays)
        self._next_id, self._now_ns = state.next_id, state.now_ns
        self._image_size, self._tracks = state.image_size, state.tracks

    def update(
        self,
        instances: Instances,
        timestamp_ns: int,
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002
        *,
        camera: Floats | None = None,
    ) -> Tracks:
        """Tracks the instances of the next frame.

        Args:
            instances: instances of the frame, with masks or with boxes only.
            timestamp_ns: capture time in nanoseconds, later than that of the previous frame.
            image: not used.
            camera: (3, 3) homography from pixels of the previous frame to pixels of this one, if the camera motion is
                known; ignored in the first frame of an epoch.

        Returns:
            The instances in their order, each with its track. The id is 0 for a low-score instance (below
            `score_confident`) or a duplicate (`duplicate_iou`) that belongs to no track.

        Raises:
            InputError: the time does not increase, the image size changed within an epoch, or `camera` is not a
                finite matrix of that shape.
            InstancesError: masks that must be compared are malformed.
        """
        now = index(timestamp_ns)
        if camera is not None:
            camera = _checked_camera(camera)
        self._check_frame(instances, now)
        seen = Sightings.of(instances, self.config.score_confident)

        # Drop tracks that were last detected too long ago, even if there was no frame in between.
        tracks = self._tracks.kept(now - self._tracks.last_seen_ns <= self._keep_lost_ns)
        if camera is not None:
            tracks = replace(tracks, boxes=warped(tracks.boxes, camera), extents=warped(tracks.extents, camera))

        # Predict where each track is now, and match it with an instance.
        elapsed_s = (now - tracks.last_seen_ns) / NS
        recent = tracks.last_seen_ns == (-1 if self._now_ns is None else self._now_ns)
        expected = tracks.velocities * elapsed_s[:, None] + tracks.drift
        predicted = shifted(tracks.boxes, expected)
        iou = class_iou(predicted, tracks.category_ids, seen)
        turn = self._camera_turn(tracks, predicted, iou, seen, recent, instances.image_size)
        if turn.any():
            tracks = replace(tracks, drift=tracks.drift + turn)
            expected = expected + turn
            predicted = shifted(tracks.boxes, expected)
            iou = class_iou(predicted, tracks.category_ids, seen)
        if self.config.newborn_still:
            predicted, iou = where_new_ones_are(tracks, predicted, iou, shifted(tracks.boxes, tracks.drift), seen)
        pairs = match(tracks, predicted, iou, seen, elapsed_s, recent, self.config)

        # Update matched tracks, confirm those that were detected often and long enough, start tracks for the rest.
        tracks = self._seen_again(tracks, pairs, seen, elapsed_s, expected, now)
        newborn = pairs.free_instances
        newborn = newborn[seen.confident[newborn]]
        newborn = without_duplicates(newborn, pairs.instances, seen, self.config.duplicate_iou)
        row_of_instance = np.full(len(seen.order), -1, np.intp)
        row_of_instance[seen.order[pairs.instances]] = pairs.tracks
        if len(newborn):
            row_of_instance[seen.order[newborn]] = len(tracks) + np.arange(len(newborn))
            tracks = tracks.followed_by(self._born(seen, newborn, _common_velocity(tracks, now), now))

        # Drop tentative tracks that were not detected for too long; lost ones were dropped at the start.
        self._tracks = tracks.kept(tracks.confirmed | (now - tracks.last_seen_ns <= self._recall_tentative_ns))
        self._now_ns = now
        self._image_size = instances.image_size
        return self._report(instances, tracks, row_of_instance, now)

    def _check_frame(self, instances: Instances, now: int) -> None:
        if self._now_ns is not None and now <= self._now_ns:
            raise InputError(
                f"expected a frame later than {self._now_ns} ns, got {now} ns: pass frames in the order of capture, "
                "and call start_epoch() when the clock restarts."
            )
        if self._image_size is not None and instances.image_size != self._image_size:
            raise InputError(
                f"expected an image of {self._image_size} as before, got {instances.image_size}: "
                "call start_epoch() when the image size changes."
            )

    def _camera_turn(
        self,
        tracks: TrackTable,
        predicted: Floats,
        iou: Floats,
        seen: Sightings,
        recent: NDArray[np.bool_],
        image_size: tuple[int, int],
    ) -> Floats:
        """Returns the displacement, x and y in pixels, by a turn of the camera that the velocities do not explain."""
        if self.config.camera_share == 1 or not iou.size:
            return np.zeros(2)
        # Low-score instances are often false positives, so they tell nothing about the camera.
        category_ids, boxes = tracks.category_ids, seen.boxes
        if not recent.all():
            category_ids, predicted, iou = category_ids[recent], predicted[recent], iou[recent]
        box_category_ids = seen.category_ids
        if not seen.confident.all():
            boxes, box_category_ids, iou = (
                boxes[seen.confident],
                box_category_ids[seen.confident],
                iou[:, seen.confident],
            )
        if not iou.size:
            return np.zeros(2)
        height, width = image_size
        reach, share = (CAMERA_REACH * width, CAMERA_REACH * height), self.config.camera_share
        if stands_still(predicted, boxes, iou, reach, share):
            return np.zeros(2)
        return common_displacement(predicted, category_ids, boxes, box_category_ids, reach, share)

    def _seen_again(
        self, tracks: TrackTable, pairs: Pairs, seen: Sightings, elapsed_s: Floats, expected: Floats, now: int
    ) -> TrackTable:
        """Returns the tracks after an update of those that were matched."""
        rows, columns = pairs.tracks, pairs.instances
        boxes, elapsed_s, hits = seen.boxes[columns], elapsed_s[rows], tracks.hits.copy()
        moved = displacement(tracks.boxes[rows], boxes, expected[rows], hits[rows])
        velocities = tracks.velocities.copy()
        velocities[rows] = smooth_velocity(
            velocities[rows], moved / elapsed_s[:, None], elapsed_s, hits[rows], self.config.velocity_smoothing_s
        )
        growth = tracks.growth.copy()
        growth[rows] = smooth_growth(
            growth[rows], tracks.boxes[rows], boxes, elapsed_s, self.config.velocity_smoothing_s
        )
        new_boxes, drift, last_seen_ns = tracks.boxes.copy(), tracks.drift.copy(), tracks.last_seen_ns.copy()
        extents = tracks.extents.copy()
        extents[rows] = whole_boxes(shifted(extents[rows], expected[rows]), boxes, elapsed_s, self.config.whole_fade_s)
        seen_centres = tracks.seen_centres.copy()
        new_boxes[rows], seen_centres[rows], drift[rows], last_seen_ns[rows] = boxes, centres(boxes), 0, now
        hits[rows] += 1
        return TrackTable(
            ids=tracks.ids,
            category_ids=tracks.category_ids,
            boxes=new_boxes,
            extents=extents,
            seen_centres=seen_centres,
            velocities=velocities,
            growth=growth,
            drift=drift,
            first_seen_ns=tracks.first_seen_ns,
            last_seen_ns=last_seen_ns,
            hits=hits,
            confirmed=tracks.confirmed | self._seen_enough(hits, last_seen_ns - tracks.first_seen_ns),
            masks=tracks.masks.replaced(rows, seen.masks, seen.order[columns]),
        )

    def _born(self, seen: Sightings, columns: Rows, velocity: Floats, now: int) -> TrackTable:
        """Returns new tracks with the initial velocity `velocity`, and consumes their ids."""
        count, boxes = len(columns), seen.boxes[columns]
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        times = np.full(count, now, np.int64)
        return TrackTable(
            ids=ids,
            category_ids=seen.category_ids[columns],
            boxes=boxes,
            extents=boxes,
            seen_centres=centres(boxes),
            velocities=np.tile(velocity, (count, 1)),
            growth=np.zeros(count),
            drift=np.zeros((count, 2)),
            first_seen_ns=times,
            last_seen_ns=times,
            hits=np.ones(count, np.int64),
            confirmed=self._seen_enough(np.ones(count, np.int64), np.zeros(count, np.int64)),
            masks=SeenMasks.of(seen.masks, seen.order[columns]),
        )

    def _seen_enough(self, hits: NDArray[np.int64], known_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns which tracks are confirmed: those that were detected often enough, over a long enough time.

        Args:
            hits: (T,) number of frames with a detection.
            known_ns: (T,) time from the first to the last detection in nanoseconds.
        """
        enough: NDArray[np.bool_] = (hits >= self.config.confirm_hits) & (known_ns >= self._confirm_after_ns)
        return enough

    def _report(self, instances: Instances, tracks: TrackTable, rows: Rows, now: int) -> Tracks:
        """Returns the result for the frame; `rows` are the tracks of the instances, -1 for none."""
        without = rows < 0
        some_without = without.any()

        def of_track(values: NDArray[Any]) -> NDArray[Any]:
            if not len(values):
                return np.zeros((len(rows), *values.shape[1:]), values.dtype)
            chosen = values[rows]
            if some_without:
                chosen[without] = 0
            return chosen

        states = np.where(tracks.confirmed, TrackState.CONFIRMED, TrackState.TENTATIVE).astype(np.uint8)
        unseen = tracks.last_seen_ns < now
        lost_ns = now - tracks.last_seen_ns
        lost = np.flatnonzero(unseen & tracks.confirmed)
        waiting = unseen & ~tracks.confirmed & (lost_ns <= self._keep_tentative_ns)
        gone = tracks.velocities[lost] * (lost_ns[lost] / NS)[:, None] + tracks.drift[lost]
        return Tracks(
            instances=instances,
            track_ids=of_track(tracks.ids),
            states=of_track(states),
            ages_ns=of_track(now - tracks.first_seen_ns),
            velocities=of_track(tracks.velocities.astype(np.float32)),
            lost=LostTracks(
                track_ids=tracks.ids[lost],
                category_ids=tracks.category_ids[lost],
                boxes=shifted(tracks.boxes[lost], gone).astype(np.float32),
                lost_ns=lost_ns[lost],
            ),
            tentative_unseen=tracks.ids[waiting],
        )


def _common_velocity(tracks: TrackTable, now: int) -> Floats:
    """Returns the median velocity, x and y, of confirmed tracks in this frame, which a turn of the camera causes."""
    seen = tracks.velocities[tracks.confirmed & (tracks.last_seen_ns == now)]
    velocity: Floats = np.median(seen, axis=0) if len(seen) else np.zeros(2)
    return velocity


def _checked_camera(camera: Floats) -> Floats:
    matrix = np.asarray(camera, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise InputError(
            f"expected camera as a finite (3, 3) homography from the previous frame to this one, got {camera!r}."
        )
    return matrix
