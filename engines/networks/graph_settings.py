"""Sizes of the static graphs."""

from __future__ import annotations

from dataclasses import dataclass

from roadmask.engines.networks.weights import Architecture


@dataclass(frozen=True)
class GraphSettings:
    """Numbers of slots and steps of the static graphs; part of the key of cached graphs."""

    proposals: int = 128
    """K: number of proposals that the box head sees."""
    detections: int = 100
    """D: maximum number of instances in an image; torchvision's own limit."""
    masks_per_run: int = 4
    """B: number of detections whose masks are predicted at a time; small, as empty slots cost as much as full ones."""
    candidates: int = 256
    """M: number of boxes with a class that enter the last NMS."""
    anchors_per_level: int = 500
    """N: number of anchors of each FPN level that enter the proposals' NMS."""
    nms_steps: int = 16
    """T: number of NMS steps per run; the graph is run again for images that need more."""

    @classmethod
    def of(cls, architecture: Architecture) -> GraphSettings:
        """Returns the settings an architecture runs with by default."""
        if architecture in (Architecture.LITE, Architecture.LITE2):
            return cls()
        return cls(proposals=256, candidates=512)
