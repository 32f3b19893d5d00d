"""Images in, instances out. Knows no video, no camera, no store.

Importing this loads neither torch nor OpenVINO; `load_segmenter` loads the one it needs::

    segmenter = load_segmenter("lite")
    [instances] = segmenter([image])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from roadmask.engines.semantic import SemanticMap
from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.engines.load import load_segmenter
    from roadmask.engines.scripted import ScriptedSegmenter
    from roadmask.engines.status import EngineStatus, engine_report

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
    "SemanticMap",
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.engines.load": ["load_segmenter"],
        "roadmask.engines.scripted": ["ScriptedSegmenter"],
        "roadmask.engines.status": ["EngineStatus", "engine_report"],
    },
)
