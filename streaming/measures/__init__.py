"""How good the results are: the field's own measures."""

from __future__ import annotations

from roadmask.streaming.measures.track_measures import COMBINED, MEASURES, TrackMeasures, measure_tracks

__all__ = ["COMBINED", "MEASURES", "TrackMeasures", "measure_tracks"]
