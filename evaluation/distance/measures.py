"""What is reported of the errors of distances."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.evaluation.distance.measuring import Pairs

CLASSES = {"car": CAR, "pedestrian": PEDESTRIAN}
BANDS = ((2.0, 10.0), (10.0, 20.0), (20.0, 40.0), (40.0, 80.0))
"""Ranges of true distances in metres that are also reported by themselves."""


@dataclass(frozen=True)
class DistanceMeasures:
    """Errors of the distances of one group of objects; None where there is nothing to measure."""

    sequences: str
    """Which sequences: `chosen` for those on which constants were chosen, `later` for the others, or one name."""
    class_name: str
    """Name of the class."""
    visible: bool
    """Whether only objects that are neither occluded nor truncated are measured."""
    nearest: float
    """Lower limit of the true distance in metres."""
    farthest: float
    """Upper limit of the true distance in metres."""
    instances: int
    """Number of labelled instances."""
    known_percent: float | None
    """Share of them that have a distance."""
    median_percent: float | None
    """Median of the absolute error relative to the truth."""
    p90_percent: float | None
    """90th percentile of the same."""
    bias_percent: float | None
    """Median of the signed error, positive where objects are nearer than estimated."""
    within_sigma_percent: float | None
    """Share of errors within one standard deviation."""
    naive_median_percent: float | None
    """Median error of the lower edge of the box on a road below a camera without pitch, of the same objects."""
    naive_p90_percent: float | None
    """90th percentile of the same."""
    lateral_median: float | None
    """Median of the absolute error of the lateral offset in metres."""
    speed_median: float | None
    """Median of the absolute error of the closing speed in m/s."""
    speed_within_sigma_percent: float | None
    """Share of errors of the closing speed within one standard deviation."""
    contact_median_percent: float | None
    """Median error of the time to contact, where the true one is at most 10 s and one was given."""
    contact_p90_percent: float | None
    """90th percentile of the same."""

    def record(self) -> dict[str, Any]:
        """Returns JSON data."""
        values = asdict(self)
        return {name: round(each, 3) if isinstance(each, float) else each for name, each in values.items()}


def measure_pairs(
    pairs: Pairs, sequences: str, class_name: str, *, visible: bool, band: tuple[float, float] = (2.0, 80.0)
) -> DistanceMeasures:
    """Measures the errors of one group of objects.

    Args:
        pairs: instances of any classes.
        sequences: name of the group of sequences, for the record.
        class_name: class to measure, a key of `CLASSES`.
        visible: leave out occluded and truncated objects.
        band: range of true distances in metres.
    """
    chosen = (pairs.category == CLASSES[class_name]) & (pairs.truth >= band[0]) & (pairs.truth <= band[1])
    group = pairs[chosen & pairs.visible] if visible else pairs[chosen]
    known = np.isfinite(group.metres)
    found = group[known]
    error = found.metres / found.truth - 1
    naive = np.abs(found.naive / found.truth - 1)
    speed = found.speed_error[np.isfinite(found.speed_error)]
    speed_sigma = found.speed_sigma[np.isfinite(found.speed_error)]
    contact = np.abs(found.contact_error[np.isfinite(found.contact_error)])
    values: dict[str, Any] = {
        "known_percent": _percent(known),
        "median_percent": _at(np.abs(error) * 100, 50),
        "p90_percent": _at(np.abs(error) * 100, 90),
        "bias_percent": _at(error * 100, 50),
        "within_sigma_percent": _percent(np.abs(found.metres - found.truth) <= found.sigma),
        "naive_median_percent": _at(naive * 100, 50),
        "naive_p90_percent": _at(naive * 100, 90),
        "lateral_median": _at(found.lateral_error, 50),
        "speed_median": _at(np.abs(speed), 50),
        "speed_within_sigma_percent": _percent(np.abs(speed) <= speed_sigma),
        "contact_median_percent": _at(contact * 100, 50),
        "contact_p90_percent": _at(contact * 100, 90),
    }
    return DistanceMeasures(sequences, class_name, visible, *band, len(group), **values)


def measure_groups(by_sequence: dict[str, Pairs], chosen_up_to: str) -> list[DistanceMeasures]:
    """Measures both classes on the sequences on which constants were chosen and on the later ones, apart.

    Args:
        by_sequence: pairs of each sequence.
        chosen_up_to: name of the last sequence on which constants were chosen.
    """
    measured = []
    groups = {
        "chosen": [each for name, each in by_sequence.items() if name <= chosen_up_to],
        "later": [each for name, each in by_sequence.items() if name > chosen_up_to],
        "all": list(by_sequence.values()),
    }
    for name, parts in groups.items():
        if not parts:
            continue
        pairs = Pairs.joined(parts)
        for class_name in CLASSES:
            measured += [measure_pairs(pairs, name, class_name, visible=visible) for visible in (True, False)]
            measured += [measure_pairs(pairs, name, class_name, visible=True, band=band) for band in BANDS]
    for name, pairs in by_sequence.items():
        measured += [measure_pairs(pairs, name, class_name, visible=True) for class_name in CLASSES]
    return [each for each in measured if each.instances]


def _at(values: NDArray[np.float64], percentile: float) -> float | None:
    return float(np.percentile(values, percentile)) if len(values) else None


def _percent(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) * 100 if len(values) else None
