"""Images in, instances out. Knows no video, no camera, no store.

Importing this loads neither torch nor OpenVINO; `load_segmenter` loads the one it needs::

    segmenter = load_segmenter("lite")
    [instances] = segmenter([image])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from roadmask.engines.classes import CAR, CLASS_NAMES, DEFAULT_CLASSES, PEDESTRIAN, category_ids
from roadmask.engines.errors import (
    ConfigError,
    EngineError,
    InputError,
    InstancesError,
    LedgerError,
    RoadmaskError,
    RunError,
    SourceError,
    StoreCorruptError,
    StoreError,
    StoreExistsError,
    StoreLockedError,
    StoreMissingError,
    StoreSchemaError,
    WeightsError,
)
from roadmask.engines.instances import Instances
from roadmask.engines.masks import BoxMasks, RleMasks
from roadmask.engines.segmenter import Image, Segmenter, SegmenterInfo

if TYPE_CHECKING:
    from roadmask.engines.load import load_segmenter
    from roadmask.engines.scripted import ScriptedSegmenter
    from roadmask.engines.status import EngineStatus, engine_report

_HOMES = {
    "EngineStatus": "roadmask.engines.status",
    "ScriptedSegmenter": "roadmask.engines.scripted",
    "engine_report": "roadmask.engines.status",
    "load_segmenter": "roadmask.engines.load",
}

__all__ = [
    "CAR",
    "CLASS_NAMES",
    "DEFAULT_CLASSES",
    "PEDESTRIAN",
    "BoxMasks",
    "ConfigError",
    "EngineError",
    "EngineStatus",
    "Image",
    "InputError",
    "Instances",
    "InstancesError",
    "LedgerError",
    "RleMasks",
    "RoadmaskError",
    "RunError",
    "ScriptedSegmenter",
    "Segmenter",
    "SegmenterInfo",
    "SourceError",
    "StoreCorruptError",
    "StoreError",
    "StoreExistsError",
    "StoreLockedError",
    "StoreMissingError",
    "StoreSchemaError",
    "WeightsError",
    "category_ids",
    "engine_report",
    "load_segmenter",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'roadmask.engines' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
