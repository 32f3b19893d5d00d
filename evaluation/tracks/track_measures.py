"""Measures tracks against ground truth with trackeval, the library that the benchmarks themselves use.

HOTA and its parts: Luiten et al. 2021. MOTA and the counts of switches and fragments (CLEAR): Bernardin and
Stiefelhagen 2008. IDF1: Ristani et al. 2016. sMOTSA and MOTSP: Voigtlaender et al. 2019; for boxes these are usually
called sMOTA and MOTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roadmask.evaluation.tracks.sequence_data import KITTI_CLASSES, SequenceData, load_trackeval, read_sequences
from roadmask.streaming.formats import TrackFormat

COMBINED = "COMBINED"
"""Name of the record of all sequences together: counted over all of them, not averaged."""

_FIELDS = {
    "HOTA": ("HOTA", "HOTA"),
    "DetA": ("HOTA", "DetA"),
    "AssA": ("HOTA", "AssA"),
    "LocA": ("HOTA", "LocA"),
    "MOTA": ("CLEAR", "MOTA"),
    "sMOTSA": ("CLEAR", "sMOTA"),
    "MOTSP": ("CLEAR", "MOTP"),
    "IDF1": ("Identity", "IDF1"),
    "IDSW": ("CLEAR", "IDSW"),
    "Frag": ("CLEAR", "Frag"),
}
"""Name of a measure -> family and field of trackeval."""
COUNTS = ("IDSW", "Frag")
"""Measures that are counts and not percentages; lower is better."""

MEASURES = tuple(_FIELDS)
"""Names of all measures, in the order of tables."""


@dataclass(frozen=True)
class TrackMeasures:
    """The measures of one class in one sequence, or in all of them."""

    sequence: str
    """Name of the sequence, or `COMBINED`."""
    class_name: str
    """Name of the class: car or pedestrian."""
    values: Mapping[str, float]
    """Value of each of `MEASURES`: a percentage, but a count for IDSW and Frag."""

    def record(self) -> dict[str, str | float]:
        """Returns the measures as a flat record."""
        return {"sequence": self.sequence, "class": self.class_name, **self.values}


def measure_tracks(
    truth: Path, results: Path, kind: TrackFormat, classes: Iterable[str] = KITTI_CLASSES
) -> list[TrackMeasures]:
    """Measures tracks as the benchmark of their format does.

    Arguments and errors are those of `read_sequences`.

    Returns:
        For each class, the measures of each sequence by name, then those of `COMBINED`.
    """
    return measure_sequences(read_sequences(truth, results, kind, classes))


def measure_sequences(data: Sequence[SequenceData]) -> list[TrackMeasures]:
    """Measures tracks that were read before.

    Args:
        data: sequences of one or more classes.

    Returns:
        For each class, the measures of each sequence in the given order, then those of `COMBINED`.

    Raises:
        InputError: trackeval is missing.
    """
    trackeval = load_trackeval()
    families = {
        "HOTA": trackeval.metrics.HOTA(),
        "CLEAR": trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
        "Identity": trackeval.metrics.Identity({"PRINT_CONFIG": False}),
    }
    collected = []
    for name in dict.fromkeys(each.class_name for each in data):
        found: dict[str, dict[str, Any]] = {}
        for each in data:
            if each.class_name == name:
                given = each.for_trackeval()
                found[each.sequence] = {key: family.eval_sequence(given) for key, family in families.items()}
        together = {
            key: family.combine_sequences({sequence: each[key] for sequence, each in found.items()})
            for key, family in families.items()
        }
        for sequence, values in [*found.items(), (COMBINED, together)]:
            collected.append(TrackMeasures(sequence, name, _values(values)))
    return collected


def _values(found: Mapping[str, Any]) -> dict[str, float]:
    # HOTA is averaged over its localisation thresholds.
    values = {name: float(np.mean(found[family][field])) for name, (family, field) in _FIELDS.items()}
    return {name: int(value) if name in COUNTS else 100 * value for name, value in values.items()}
