"""How large the static graphs are."""

from __future__ import annotations

from dataclasses import dataclass

from roadmask.engines.networks.weights import Architecture


@dataclass(frozen=True)
class GraphSettings:
    """Slots and steps of the static graphs; part of the key under which it is cached."""

    proposals: int = 128
    """K: regions that the box head looks at."""
    detections: int = 100
    """D: instances that an image can have, best first; torchvision's own limit."""
    masks_per_run: int = 4
    """B: detections that get their masks at a time; few, as empty slots cost as much as full ones."""
    candidates: int = 256
    """M: boxes with a class that take part in the last NMS."""
    anchors_per_level: int = 500
    """N: anchors of each FPN level that take part in the proposals' NMS."""
    nms_steps: int = 16
    """T: NMS steps; images that need more run the graph again from where it stopped."""

    @classmethod
    def of(cls, architecture: Architecture) -> GraphSettings:
        """Returns the settings an architecture runs with by default."""
        if architecture is Architecture.LITE:
            return cls()
        return cls(proposals=256, candidates=512)
