"""Masks carried with the image between detections."""

from roadmask.tracking.propagation.propagator import MaskPropagator

__all__ = ["MaskPropagator"]
