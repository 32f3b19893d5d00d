"""Measures tracks against ground truth, by the measures of the field."""

from __future__ import annotations

from roadmask.evaluation.tracks.ceiling import CEILING_GAPS, link_perfectly
from roadmask.evaluation.tracks.sequence_data import SequenceData, read_sequences
from roadmask.evaluation.tracks.track_measures import (
    COMBINED,
    COUNTS,
    MEASURES,
    TrackMeasures,
    measure_sequences,
    measure_tracks,
)

__all__ = [
    "CEILING_GAPS",
    "COMBINED",
    "COUNTS",
    "MEASURES",
    "SequenceData",
    "TrackMeasures",
    "link_perfectly",
    "measure_sequences",
    "measure_tracks",
    "read_sequences",
]
