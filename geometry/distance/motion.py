"""Closing speed and time to contact of tracks, from how their distances change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roadmask.geometry.distance.config import DistanceConfig

Floats = NDArray[np.float64]

_LEAST_SECONDS = 0.25
"""Time in seconds from which a track has a closing speed."""
_START_SPEED_SIGMA = 15.0
"""Standard deviation in m/s of the closing speed of a new track."""


class MotionFilter:
    """Kalman filters of logarithm of distance and its rate, one for each track of a camera.

    The error of an object's assumed size multiplies all its distances alike, so it does not enter the rate: it is not
    part of the noise of an observation here.
    """

    def __init__(self, config: DistanceConfig) -> None:
        self._config = config
        self._tracks: dict[int, tuple[float, float, float, float, float, float, float]] = {}

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the state as named arrays."""
        rows = [(float(track), *each) for track, each in self._tracks.items()]
        return {"motion": np.array(rows, np.float64).reshape(-1, 8)}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from the result of `to_arrays`."""
        rows = np.asarray(arrays["motion"], np.float64).tolist()
        self._tracks = {int(row[0]): (row[1], row[2], row[3], row[4], row[5], row[6], row[7]) for row in rows}

    def update(
        self, seconds: float, track_ids: NDArray[np.int64], metres: Floats, noise: Floats
    ) -> tuple[Floats, Floats]:
        """Takes the distances of a frame.

        Args:
            seconds: time of the frame.
            track_ids: (N,) tracks; 0 for none.
            metres: (N,) distances, NaN where not known.
            noise: (N,) relative standard deviation of each, without what is common to all of a track.

        Returns:
            (N,) rates of approach per second, and their standard deviations; NaN where not known.
        """
        rate, sigma = np.full(len(track_ids), np.nan), np.full(len(track_ids), np.nan)
        logs = np.log(metres)
        for row, (track, log, r, z) in enumerate(
            zip(track_ids.tolist(), logs.tolist(), (noise**2).tolist(), metres.tolist(), strict=True)
        ):
            if track <= 0 or log != log:  # NaN  # noqa: PLR0124
                continue
            before = self._tracks.get(track)
            if before is None or seconds - before[5] > self._config.forget_seconds:
                self._tracks[track] = (log, 0.0, r, 0.0, (_START_SPEED_SIGMA / z) ** 2, seconds, seconds)
                continue
            x, v, pxx, pxv, pvv, then, began = before
            dt = seconds - then
            q = (self._config.acceleration_sigma / z) ** 2
            # x is ln Z and v its rate; a constant speed changes the rate by -v^2
            x, v = x + v * dt, v - v * v * dt
            pxx = pxx + 2 * dt * pxv + dt * dt * pvv + q * dt**3 / 3
            pxv = pxv + dt * pvv + q * dt**2 / 2
            pvv = pvv + q * dt
            s = pxx + r
            kx, kv, miss = pxx / s, pxv / s, log - x
            x, v = x + kx * miss, v + kv * miss
            pxx, pxv, pvv = (1 - kx) * pxx, (1 - kx) * pxv, max(pvv - kv * pxv, 1e-9)
            self._tracks[track] = (x, v, pxx, pxv, pvv, seconds, began)
            if seconds - began >= _LEAST_SECONDS:
                rate[row], sigma[row] = -v, pvv**0.5
        if len(self._tracks) > 4 * len(track_ids) + 64:
            oldest = seconds - self._config.forget_seconds
            self._tracks = {track: each for track, each in self._tracks.items() if each[5] >= oldest}
        return rate, sigma
