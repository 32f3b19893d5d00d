"""The plain IoU tracker: predict, match, start, age, drop.

Boxes move at constant velocity between frames (as in SORT, Bewley et al. 2016), overlap is measured on boxes and on
masks moved along, pairs are made by optimal assignment in stages, the surest first (as in ByteTrack, Zhang et al.
2022). A turn of the camera is told from the boxes (see `camera_motion`). Everything is decided by time, never by a
count of frames at an assumed rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.tracking.association import Rows, associate, box_iou, centre_distance, generalized_iou, size_ratio
from roadmask.tracking.camera_motion import common_displacement
from roadmask.tracking.config import IouTrackerConfig
from roadmask.tracking.motion import Floats, centres, displacement, predict, smooth_velocity, warped
from roadmask.tracking.track_table import TrackTable
from roadmask.tracking.tracks import LostTracks, Tracks, TrackState

NS = 1_000_000_000

FAR_SPEED = 20.0
"""What does not overlap must not have been faster, in multiples of its size per second."""
CAMERA_REACH = 0.16
"""Largest turn of the camera between two frames that is looked for, in multiples of the picture's sides."""
FAR_SIZE_RATIO_MIN = 0.6
"""What does not overlap must at least be as large, up to this factor."""


@dataclass(frozen=True, eq=False)
class IouTrackerState:
    """All that an `IouTracker` knows at one moment."""

    next_id: int
    """Id that the next new track will get."""
    now_ns: int | None
    """Capture time of the last frame of the epoch, if there was one."""
    image_size: tuple[int, int] | None
    """(H, W) of the epoch's pictures, if there was one."""
    tracks: TrackTable
    """The tracks it follows."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns it as named arrays of plain numbers."""
        seen = [] if self.now_ns is None or self.image_size is None else [self.now_ns, *self.image_size]
        return {
            "next_id": np.array(self.next_id, np.int64),
            "last_frame": np.array(seen, np.int64),
            **{f"tracks/{name}": values for name, values in self.tracks.to_arrays().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> IouTrackerState:
        """Reads what `to_arrays` gave.

        Raises:
            InputError: it is not such a state.
        """
        next_id, last_frame = arrays.get("next_id"), arrays.get("last_frame")
        if next_id is None or next_id.shape != () or last_frame is None or last_frame.shape not in {(0,), (3,)}:
            raise InputError(
                f"expected the state of an IouTracker, got the arrays {', '.join(sorted(arrays)) or 'none'}."
            )
        now_ns, *size = last_frame.tolist() or [None]
        prefix = "tracks/"
        table = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
        return cls(int(next_id), now_ns, tuple(size) if size else None, TrackTable.from_arrays(table))


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

    def state(self) -> IouTrackerState:
        """Returns what it knows now; cheap enough to be taken after every frame."""
        return IouTrackerState(self._next_id, self._now_ns, self._image_size, self._tracks)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Goes on from a state; see `Tracker.restore`.

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
        """Takes the instances of the next frame.

        Args:
            instances: what a segmenter found, with masks or with boxes only.
            timestamp_ns: capture time; must be later than that of the frame before.
            image: not looked at.
            camera: (3, 3) homography from pixels of the frame before to pixels of this one, where it is known how
                the camera moved; ignored in the first frame of an epoch.

        Returns:
            The instances in the order they came, each with its track; 0 where a weak instance (below
            `score_confident`) belongs to none.

        Raises:
            InputError: time stands still or goes back, the picture size changed within an epoch, or `camera` is not
                a finite matrix of that shape.
        """
        now = index(timestamp_ns)
        if camera is not None:
            camera = _checked_camera(camera)
        self._check_frame(instances, now)
        order = _canonical_order(instances)
        seen = instances[order]
        # Encoded before they are sorted, so that whoever stores these instances finds the masks encoded.
        masks = None if instances.masks is None else instances.masks.to_rle()[order]
        boxes = seen.boxes.astype(np.float64)

        # Forget tracks that were last seen too long ago, even if no frame came in between.
        tracks = self._tracks[now - self._tracks.last_seen_ns <= self._keep_lost_ns]

        if camera is not None:
            tracks = replace(tracks, boxes=warped(tracks.boxes, camera))

        # Predict where each track is now, and measure what it overlaps there. Weak instances are often false and lie
        # where they do by chance, so they tell nothing of the camera.
        confident = seen.scores >= self.config.score_confident
        tracks = self._turned_with_the_camera(
            tracks, boxes[confident], seen.labels[confident], instances.image_size, now
        )
        predicted = self._predicted(tracks, now)
        overlap = self._overlap(tracks, predicted, boxes, seen.labels, masks)

        # Match the surest first: confirmed tracks with confident instances, then all that is left.
        matched_track, matched_instance = associate(
            overlap, np.flatnonzero(tracks.confirmed), np.flatnonzero(confident), self.config.overlap_min
        )
        rest = (_without(len(tracks), matched_track), _without(len(seen), matched_instance))
        more_tracks, more_instances = associate(overlap, *rest, self.config.overlap_min)
        matched_track = np.concatenate([matched_track, more_tracks])
        matched_instance = np.concatenate([matched_instance, more_instances])
        # What is left moved unexpectedly, or all but a part of it is hidden. A weak instance that far from where the
        # track is expected is rather a false one: it would carry the track off.
        left = _without(len(seen), matched_instance)
        rest = (_without(len(tracks), matched_track), left[confident[left]])
        more_tracks, more_instances = self._associate_far(tracks, predicted, boxes, seen.labels, *rest, now)
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
        born = self._born(seen.labels[newborn], boxes[newborn], rles[newborn], _common_velocity(tracks, now), now)
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

    def _predicted(self, tracks: TrackTable, now: int) -> Floats:
        """Returns the (T, 4) boxes where the tracks should be."""
        moved = predict(tracks.boxes, tracks.velocities, (now - tracks.last_seen_ns) / NS)
        return moved + np.tile(tracks.drift, 2)

    def _turned_with_the_camera(
        self, tracks: TrackTable, boxes: Floats, labels: NDArray[np.int64], image_size: tuple[int, int], now: int
    ) -> TrackTable:
        """Returns the tracks moved by as much as the camera turned beyond what their velocities expect."""
        if self.config.camera_share == 1 or not len(tracks) or not len(boxes):
            return tracks
        recent = tracks[tracks.last_seen_ns == self._now_ns]
        height, width = image_size
        turn = common_displacement(
            self._predicted(recent, now),
            recent.labels,
            boxes,
            labels,
            (CAMERA_REACH * width, CAMERA_REACH * height),
            self.config.camera_share,
        )
        return replace(tracks, drift=tracks.drift + turn)

    def _associate_far(
        self,
        tracks: TrackTable,
        predicted: Floats,
        boxes: Floats,
        labels: NDArray[np.int64],
        rows: Rows,
        columns: Rows,
        now: int,
    ) -> tuple[Rows, Rows]:
        """Pairs what is left by generalised IoU: things that hardly overlap, or not at all but are as large."""
        none = np.zeros(0, np.intp)
        if self.config.far_overlap_min >= 1 or not len(rows) or not len(columns):
            return none, none
        from_boxes, to_boxes = predicted[rows], boxes[columns]
        near = generalized_iou(from_boxes, to_boxes)
        near[tracks.labels[rows][:, None] != labels[columns]] = -1
        apart = box_iou(from_boxes, to_boxes) == 0
        recent = (tracks.last_seen_ns[rows] == self._now_ns)[:, None]
        alike = size_ratio(from_boxes, to_boxes) >= FAR_SIZE_RATIO_MIN
        elapsed_s = (now - tracks.last_seen_ns[rows]) / NS
        in_reach = centre_distance(from_boxes, to_boxes) <= FAR_SPEED * elapsed_s[:, None]
        near[apart & ~(recent & alike & in_reach)] = -1
        every_row, every_column = np.arange(len(rows)), np.arange(len(columns))
        gate = (self.config.far_overlap_min + 1) / 2
        some, others = associate((near + 1) / 2, every_row, every_column, gate)
        return rows[some], columns[others]

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
            centres(predicted[near]) - tracks.seen_centres[near]
        )
        mixed = (1 - weight) * overlap[near] + weight * moved.iou(masks)
        overlap[near] = np.where(overlap[near] > 0, mixed, 0)
        return overlap

    def _seen_again(
        self, tracks: TrackTable, rows: Rows, boxes: Floats, rles: NDArray[np.object_], now: int
    ) -> TrackTable:
        """Returns the tracks after those in `rows` were seen at `boxes`."""
        elapsed_s = (now - tracks.last_seen_ns[rows]) / NS
        expected = tracks.velocities[rows] * elapsed_s[:, None] + tracks.drift[rows]
        measured = displacement(tracks.boxes[rows], boxes, expected, tracks.hits[rows]) / elapsed_s[:, None]
        velocities = tracks.velocities.copy()
        velocities[rows] = smooth_velocity(
            velocities[rows], measured, elapsed_s, tracks.hits[rows], self.config.velocity_smoothing_s
        )
        new_boxes, masks, drift = tracks.boxes.copy(), tracks.masks.copy(), tracks.drift.copy()
        drift[rows] = 0
        last_seen_ns, hits = tracks.last_seen_ns.copy(), tracks.hits.copy()
        seen_centres = tracks.seen_centres.copy()
        seen_centres[rows] = centres(boxes)
        new_boxes[rows], masks[rows], last_seen_ns[rows] = boxes, rles, now
        hits[rows] += 1
        enough = (hits >= self.config.confirm_hits) & (last_seen_ns - tracks.first_seen_ns >= self._confirm_after_ns)
        return replace(
            tracks,
            boxes=new_boxes,
            seen_centres=seen_centres,
            masks=masks,
            velocities=velocities,
            drift=drift,
            last_seen_ns=last_seen_ns,
            hits=hits,
            confirmed=tracks.confirmed | enough,
        )

    def _born(
        self, labels: NDArray[np.int64], boxes: Floats, rles: NDArray[np.object_], velocity: Floats, now: int
    ) -> TrackTable:
        """Returns new tracks, expected to move with `velocity`, and uses up their ids."""
        count = len(labels)
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        times = np.full(count, now, np.int64)
        return TrackTable(
            ids=ids,
            labels=labels,
            boxes=boxes,
            seen_centres=centres(boxes),
            velocities=np.tile(velocity, (count, 1)),
            drift=np.zeros((count, 2)),
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
                boxes=self._predicted(lost, now).astype(np.float32),
                lost_ns=lost_ns,
            ),
            tentative_unseen=unseen.ids[waiting],
        )


def _common_velocity(tracks: TrackTable, now: int) -> Floats:
    """Returns the median velocity, x and y, of confirmed tracks seen now: what the camera's turn gives to all."""
    seen = tracks.velocities[tracks.confirmed & (tracks.last_seen_ns == now)]
    velocity: Floats = np.median(seen, axis=0) if len(seen) else np.zeros(2)
    return velocity


def _checked_camera(camera: Floats) -> Floats:
    matrix = np.asarray(camera, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise InputError(
            f"expected camera as a finite (3, 3) homography from the frame before to this one, got {camera!r}."
        )
    return matrix


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
