"""Where the labels of a model are doubtful, by what only a tracker sees. Pure: arrays in, doubts out.

Five signs, each a strength from 0 to 1 for each sighting of a track:

- `score`: the model is unsure.
- `flicker`: the object comes and goes in neighbouring frames.
- `area`: its mask is suddenly larger or smaller than before, away from the edges of the image.
- `gap`: it was out of sight for longer than a moment, and tracks were joined over it.
- `switch`: where its motion leads, another object of its class is, and it is not.

A sighting's doubt is 1 - (1 - a)(1 - b)..., so that several weak signs are one strong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.tracking.offline import NS

Floats = NDArray[np.float64]

SIGNS = ("score", "flicker", "area", "gap", "switch")
SURE_SCORE = 0.8
"""Score from which on a label is not doubtful for it; at 0.3 and below it is entirely."""
UNSURE_SCORE = 0.3
WINDOW_S = 1.0
"""Time in seconds around a sighting in which flicker is counted."""
FLICKERS = 3
"""Interruptions in the window that make a label entirely doubtful; a single one does not count."""
AREA_RATIO = 1.3
"""Ratio of a mask's area to that of the one before from which on it is a sudden change; twice as large: entirely."""
AREA_RATIO_FULL = 2.0
EDGE_PX = 2
"""Masks whose boxes are nearer to the edge of the image enter or leave it: their areas change."""
GAP_S = 0.3
"""Time out of sight in seconds from which on the sightings on both sides are doubtful; at 1.5 s entirely."""
GAP_FULL_S = 1.5
NEIGHBOUR_S = 0.5
"""Maximum time in seconds between a sighting and those that its area and motion are compared with."""
SWITCH_IOU = 0.3
"""Minimum IoU of another object with where the motion of a track leads."""
DOUBTFUL = 0.5
"""Doubt from which on a person should look."""


@dataclass(frozen=True, eq=False)
class TrackHistory:
    """One track: N sightings in the order of time."""

    frames: NDArray[np.int64]
    """(N,) positions of the frames in the recording; 1 apart where no frame is between."""
    timestamps_ns: NDArray[np.int64]
    """(N,) capture times in nanoseconds."""
    boxes: Floats
    """(N, 4) x1, y1, x2, y2 in pixels."""
    areas: Floats
    """(N,) areas of the masks in pixels."""
    scores: Floats
    """(N,) scores, 0 to 1."""
    category_id: int
    """Category id of the track."""
    image_size: tuple[int, int]
    """Height and width of the images in pixels."""

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def seconds(self) -> Floats:
        """(N,) times in seconds since the first sighting."""
        return np.asarray((self.timestamps_ns - self.timestamps_ns[:1].sum()) / NS, np.float64)


@dataclass(frozen=True, eq=False)
class Doubts:
    """The doubts of one track."""

    signs: Mapping[str, Floats]
    """Sign -> (N,) strengths, 0 to 1."""

    @property
    def values(self) -> Floats:
        """(N,) doubts, 0 to 1."""
        return np.asarray(1 - np.prod([1 - strength for strength in self.signs.values()], axis=0), np.float64)

    def why(self, sighting: int) -> tuple[str, ...]:
        """Returns the signs of a sighting, the strongest first; those below 0.1 are left out."""
        strong = {name: float(strength[sighting]) for name, strength in self.signs.items() if strength[sighting] >= 0.1}
        return tuple(sorted(strong, key=lambda name: (-strong[name], SIGNS.index(name))))

    @property
    def rank(self) -> float:
        """How soon a person should look at the track: its strongest doubt, and the share that is doubtful."""
        values = self.values
        return 0.0 if not len(values) else float(values.max() + (values >= DOUBTFUL).mean()) / 2


def find_doubts(tracks: Mapping[int, TrackHistory]) -> dict[int, Doubts]:
    """Returns the doubts of all tracks of a recording.

    Args:
        tracks: track id -> history.
    """
    switches = _switches(tracks)
    return {
        track_id: Doubts(
            {
                "score": _between(SURE_SCORE - track.scores, 0, SURE_SCORE - UNSURE_SCORE),
                "flicker": _flicker(track),
                "area": _area(track),
                "gap": _gap(track),
                "switch": switches[track_id],
            }
        )
        for track_id, track in tracks.items()
    }


def ranked(doubts: Mapping[int, Doubts]) -> list[int]:
    """Returns track ids, the most doubtful first; equal ones by id."""
    return sorted(doubts, key=lambda track_id: (-doubts[track_id].rank, track_id))


def _between(values: Floats, low: float, high: float) -> Floats:
    return np.clip((values - low) / (high - low), 0, 1)


def _flicker(track: TrackHistory) -> Floats:
    """Interruptions around each sighting; a long gap is one of another kind."""
    seconds = track.seconds
    broken = (np.diff(track.frames) > 1) & (np.diff(seconds) < GAP_S)
    at = (seconds[1:] + seconds[:-1])[broken] / 2
    near = (np.abs(seconds[:, None] - at[None]) <= WINDOW_S / 2).sum(axis=1)
    return _between(near.astype(np.float64), 1, FLICKERS)


def _gap(track: TrackHistory) -> Floats:
    between = np.diff(track.seconds)
    strength = np.where(np.diff(track.frames) > 1, _between(between, GAP_S, GAP_FULL_S), 0.0)
    sides = np.zeros((2, len(track)))
    sides[0, 1:], sides[1, :-1] = strength, strength
    return np.asarray(sides.max(axis=0), np.float64)


def _area(track: TrackHistory) -> Floats:
    """A mask against the one before it; slow growth and what enters or leaves the image do not count."""
    strength = np.zeros(len(track))
    height, width = track.image_size
    inside = (track.boxes[:, :2] >= EDGE_PX).all(axis=1)
    inside &= (track.boxes[:, 2] <= width - EDGE_PX) & (track.boxes[:, 3] <= height - EDGE_PX)
    step = np.abs(np.diff(np.log(np.maximum(track.areas, 1))))
    compared = (np.diff(track.seconds) <= NEIGHBOUR_S) & inside[1:] & inside[:-1]
    strength[1:] = np.where(compared, _between(step, np.log(AREA_RATIO), np.log(AREA_RATIO_FULL)), 0)
    return strength


def _switches(tracks: Mapping[int, TrackHistory]) -> dict[int, Floats]:
    """Returns for each track how well another object of its class fits where its motion leads, where it fits worse."""
    strengths = {track_id: np.zeros(len(track)) for track_id, track in tracks.items()}
    shown: dict[int, list[tuple[int, int]]] = {}
    for track_id, track in tracks.items():
        for row, frame in enumerate(track.frames.tolist()):
            shown.setdefault(frame, []).append((track_id, row))
    for track_id, track in tracks.items():
        seconds = track.seconds
        for row in range(2, len(track)):
            elapsed, base = seconds[row] - seconds[row - 1], seconds[row - 1] - seconds[row - 2]
            if elapsed > NEIGHBOUR_S or base > NEIGHBOUR_S or base <= 0:
                continue
            expected = track.boxes[row - 1] + (track.boxes[row - 1] - track.boxes[row - 2]) * (elapsed / base)
            others = [
                (other, at)
                for other, at in shown[int(track.frames[row])]
                if other != track_id and tracks[other].category_id == track.category_id
            ]
            if not others:
                continue
            boxes = np.stack([track.boxes[row], *(tracks[other].boxes[at] for other, at in others)])
            own, *fits = _iou(expected, boxes).tolist()
            best = int(np.argmax(fits))
            if fits[best] > max(own, SWITCH_IOU):
                strength = float(min(1.0, (fits[best] - own) / (1 - SWITCH_IOU) + 0.3))
                other, at = others[best]
                strengths[track_id][row] = max(strengths[track_id][row], strength)
                strengths[other][at] = max(strengths[other][at], strength)
    return strengths


def _iou(box: Floats, boxes: Floats) -> Floats:
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(overlap, 0, None).prod(axis=1)
    both = (box[2:] - box[:2]).clip(0).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / np.maximum(both, 1e-9), np.float64)
