"""Learns online where the horizon is, and how tall each tracked object is.

An object of height H at depth Z, seen by a camera h above the road, shows two angles: s = h / Z from its foot to the
horizon and n = H / Z from its foot to its top. So s = (h / H) n whatever the depth is. The measured s lacks the error
of the horizon, which all objects of a frame share, while h / H is a constant of each object: all objects together show
the horizon, and an object that comes nearer shows its height. This is a linear Kalman filter over

- the error of the calibrated pitch, which does not change,
- the nodding of the vehicle, which forgets itself within `nod_seconds` (a first-order Gauss-Markov process),
- h / H of each track.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.geometry.distance.config import DistanceConfig

Floats = NDArray[np.float64]

_GATE = 3.5
"""Observations that contradict the filter by more standard deviations than this do not change it."""
_ROAD_LEAST, _ROAD_MOST = 0.0005, 0.03
"""Range in radians of the unevenness of roads."""
_LEAST_RATIO = 0.1
"""Smallest h / H that is believed: no object is ten times as tall as the camera."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What the filter knows after a frame, about the horizon and N instances."""

    error: float
    """Error of the calibrated horizon in radians, to be added to measured angles below it."""
    error_variance: float
    """Variance of `error`."""
    ratio: Floats
    """(N,) h / H of each instance."""
    ratio_variance: Floats
    """(N,) variance of `ratio`."""
    road_variance: float
    """Variance in square radians of the road's slope from a plane."""


class HorizonFilter:
    """The filter of one camera.

    Args:
        config: the settings.
        pitch_sigma: standard deviation of the calibrated pitch in radians.
    """

    def __init__(self, config: DistanceConfig, pitch_sigma: float) -> None:
        self._config = config
        self._state = np.zeros(2)
        self._covariance = np.diag([pitch_sigma**2, config.nod_sigma**2])
        self._slots: dict[int, int] = {}  # track -> place in the state
        self._seen = np.zeros(2)  # when each place was last seen, in seconds
        self._now: float | None = None
        self._road = config.road_sigma**2

    @property
    def pitch_error(self) -> tuple[float, float]:
        """Error of the calibrated horizon without nodding, and its standard deviation, in radians."""
        return float(self._state[0]), math.sqrt(self._covariance[0, 0])

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the state as named arrays."""
        now = math.nan if self._now is None else self._now
        return {
            "state": self._state.copy(),
            "covariance": self._covariance.copy(),
            "slots": np.array(list(self._slots.items()), np.int64).reshape(-1, 2),
            "seen": self._seen.copy(),
            "road": np.array([now, self._road]),
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from the result of `to_arrays`."""
        self._state, self._covariance, self._seen = (
            np.array(arrays[name], np.float64) for name in ("state", "covariance", "seen")
        )
        self._slots = {int(track): int(place) for track, place in np.asarray(arrays["slots"]).tolist()}
        now, self._road = map(float, np.asarray(arrays["road"]).tolist())
        self._now = None if math.isnan(now) else now

    def update(
        self,
        seconds: float,
        track_ids: NDArray[np.int64],
        prior: tuple[Floats, Floats],
        angles: tuple[Floats, Floats],
        noise: Floats,
        uneven: Floats,
    ) -> Learned:
        """Takes the observations of a frame.

        Args:
            seconds: time of the frame.
            track_ids: (N,) tracks; 0 for an instance without one, of which nothing is kept.
            prior: (N,) h / H of the classes and its standard deviation.
            angles: (N,) angles from the foot to the calibrated horizon and to the top, as tangents.
            noise: (N,) standard deviation of the former given the latter.
            uneven: (N,) unevenness of the ground under each instance, relative to that of the road.
        """
        gap = 0.0 if self._now is None else max(seconds - self._now, 0.0)
        step = gap or self._config.foot_seconds
        self._now = seconds
        self._predict(gap)
        self._forget(seconds)
        places = self._places(track_ids, prior)
        self._seen[places] = seconds
        below, tall = angles
        matrix = np.zeros((len(places), len(self._state)))
        matrix[:, :2] = -1
        matrix[np.arange(len(places)), places] = tall
        # Errors of one foot in successive frames are alike: as many of them as there are in `foot_seconds` count once.
        surprise = below - matrix @ self._state
        crossed = self._covariance @ matrix.T
        expected = matrix @ crossed
        likely = np.diagonal(expected) + noise**2
        if len(places):
            excess = np.minimum(surprise**2, _GATE**2 * (likely + self._road * uneven**2)) - likely
            excess /= uneven**2
            share = 1 - math.exp(-step * len(places) / self._config.road_seconds)
            self._road += share * (float(np.mean(excess)) - self._road)
            self._road = min(max(self._road, _ROAD_LEAST**2), _ROAD_MOST**2)
        variance = (noise**2 + self._road * uneven**2) * max(self._config.foot_seconds / step, 1.0)
        kept = np.abs(surprise) < _GATE * np.sqrt(np.diagonal(expected) + variance)
        if kept.any():
            crossed, expected = crossed[:, kept], expected[np.ix_(kept, kept)]
            gain = np.linalg.solve(expected + np.diag(variance[kept]), crossed.T).T
            self._state = self._state + gain @ surprise[kept]
            covariance = self._covariance - gain @ crossed.T
            self._covariance = (covariance + covariance.T) / 2
        np.maximum(self._state[2:], _LEAST_RATIO, out=self._state[2:])
        diagonal = np.maximum(np.diagonal(self._covariance), 1e-12)
        return Learned(
            float(self._state[0] + self._state[1]),
            float(max(self._covariance[:2, :2].sum(), 1e-12)),
            self._state[places],
            diagonal[places],
            self._road,
        )

    def _predict(self, gap: float) -> None:
        kept = math.exp(-gap / self._config.nod_seconds)
        self._state[1] *= kept
        self._covariance[1] *= kept
        self._covariance[:, 1] *= kept
        self._covariance[1, 1] += self._config.nod_sigma**2 * (1 - kept**2)
        tracks = np.arange(2, len(self._state))
        self._covariance[tracks, tracks] += (self._config.turn_sigma * self._state[2:]) ** 2 * gap

    def _forget(self, seconds: float) -> None:
        """Drops tracks that were not seen for a while, and instances without a track at once."""
        old = self._seen < seconds - self._config.forget_seconds
        old[:2] = False
        old[2:][[track < 0 for track in self._slots]] = True
        if old.any():
            self._slots = {
                track: new
                for new, track in enumerate((t for t, place in self._slots.items() if not old[place]), start=2)
            }
            keep = np.flatnonzero(~old)
            self._state, self._seen = self._state[keep], self._seen[keep]
            self._covariance = self._covariance[np.ix_(keep, keep)]

    def _places(self, track_ids: NDArray[np.int64], prior: tuple[Floats, Floats]) -> NDArray[np.intp]:
        """Returns the places of the tracks in the state, which new ones join with the sizes of their classes."""
        size = len(self._state)
        new: list[int] = []
        places = np.empty(len(track_ids), np.intp)
        for row, track in enumerate(track_ids.tolist()):
            key = track if track > 0 else -1 - row
            place = self._slots.get(key)
            if place is None:
                place = self._slots[key] = size + len(new)
                new.append(row)
            places[row] = place
        if new:
            mean, sigma = prior
            self._state = np.concatenate([self._state, mean[new]])
            self._seen = np.concatenate([self._seen, np.zeros(len(new))])
            grown = np.zeros((size + len(new), size + len(new)))
            grown[:size, :size] = self._covariance
            more = np.arange(size, size + len(new))
            grown[more, more] = sigma[new] ** 2
            self._covariance = grown
        return places
