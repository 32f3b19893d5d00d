"""Masks carried with the image between detections."""

from roadmask.tracking.propagation.gap_filler import GapFiller
from roadmask.tracking.propagation.propagator import MaskPropagator

__all__ = ["GapFiller", "MaskPropagator"]
