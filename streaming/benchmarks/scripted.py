"""A segmenter that takes no time: what is measured with it is everything but the engine."""

from __future__ import annotations

import numpy as np

from roadmask.engines import BoxMasks, Image, Instances, ScriptedSegmenter


def find_corner(image: Image, _index: int = 0) -> Instances:
    """Returns a car that stands in the lower left quarter of every picture."""
    height, width = image.shape[:2]
    boxes = np.array([[width * 0.1, height * 0.6, width * 0.4, height * 0.9]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, (height, width))
    return Instances((height, width), boxes, np.array([0.9], np.float32), np.array([3]), masks)


def corner_segmenter() -> ScriptedSegmenter:
    """Returns a segmenter that is fast and finds one car that never moves."""
    return ScriptedSegmenter(find_corner)
