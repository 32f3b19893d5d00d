"""roadmask: cameras in, tracked masks of pedestrians and cars out.

The four names most programs need are here; each loads its room only when it is first used, so that importing
roadmask costs nothing::

    from roadmask import IouTracker, Pipeline, load_segmenter, open_drive
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roadmask.engines import load_segmenter as load_segmenter
    from roadmask.streaming.pipeline import Pipeline as Pipeline
    from roadmask.streaming.store import open_drive as open_drive
    from roadmask.tracking import IouTracker as IouTracker

__version__ = "0.1.0"

_HOMES = {
    "IouTracker": "roadmask.tracking",
    "Pipeline": "roadmask.streaming.pipeline",
    "load_segmenter": "roadmask.engines",
    "open_drive": "roadmask.streaming.store",
}

__all__ = ["IouTracker", "Pipeline", "__version__", "load_segmenter", "open_drive"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'roadmask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
