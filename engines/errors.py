"""Every error roadmask raises on purpose.

RoadmaskError
├── InputError             the caller's arguments or files cannot be used      (exit code 2)
│   ├── ConfigError        a configuration key or value
│   ├── SourceError        a camera, video file or folder of images
│   ├── PageError          an address the live page cannot be served at, or its token
│   ├── WeightsError       model weights
│   └── InstancesError     arrays that do not describe instances
├── EngineError            a segmenter cannot be built or run on this machine  (exit code 2)
│   ├── TensorRtMissingError  the package that builds or runs plans is not installed
│   ├── GpuMissingError       no NVIDIA GPU where one is needed
│   ├── DriverTooOldError     the GPU's driver is older than CUDA here needs
│   ├── DeviceMemoryError     the GPU's memory is full
│   ├── BuildError            TensorRT refuses the graph or the target
│   └── PlanError             a cached plan is not what its manifest says
│       ├── PlanTamperedError the plan or its manifest was changed
│       └── PlanForeignError  the plan is for another graph, TensorRT or chip
├── RunError               a process of the run died; what is committed is safe (exit code 4)
└── StoreError             the store cannot be written or read                 (exit code 4)
    ├── StoreMissingError  no store where one was to be read                   (exit code 2)
    ├── StoreExistsError   something lies where a new one was to be written    (exit code 2)
    ├── StoreResumeError   it was begun with other input or settings           (exit code 2)
    ├── StoreSchemaError   written by another version of the layout            (exit code 2)
    ├── StoreLockedError   another writer holds the store
    ├── StoreCorruptError  what is stored contradicts itself
    └── LedgerError        frames went missing between the camera and the store

They live in the lowest room because imports run one way. Each message says what was expected, what came, and what
to do about it.
"""

from __future__ import annotations


class RoadmaskError(Exception):
    """Base of all errors that roadmask raises on purpose."""

    exit_code = 1


class InputError(RoadmaskError, ValueError):
    """The caller's arguments or files cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration key or value is not understood."""


class SourceError(InputError):
    """A camera, video file or folder of images cannot be read."""


class PageError(InputError):
    """The live page cannot be served at the address that was asked for, or its token is unfit."""


class WeightsError(InputError):
    """Model weights are missing, unsafe to load, or of another architecture."""


class InstancesError(InputError):
    """Arrays do not describe instances of one image."""


class EngineError(RoadmaskError):
    """A segmenter cannot be built or run on this machine."""

    exit_code = 2


class TensorRtMissingError(EngineError):
    """The package that builds or runs TensorRT plans is not installed."""


class GpuMissingError(EngineError):
    """An NVIDIA GPU is needed and there is none."""


class DriverTooOldError(EngineError):
    """The GPU's driver is older than the CUDA libraries that are installed."""


class DeviceMemoryError(EngineError):
    """The GPU's memory is full."""


class BuildError(EngineError):
    """TensorRT cannot build a plan of this graph for this target."""


class PlanError(EngineError):
    """A cached TensorRT plan cannot be used."""


class PlanTamperedError(PlanError):
    """A plan or its manifest was changed after it was written; plans are code, so it is not loaded."""


class PlanForeignError(PlanError):
    """A plan was built from another graph, by another TensorRT, or for another chip."""


class RunError(RoadmaskError):
    """A process of the run died; what was committed before is safe."""

    exit_code = 4


class StoreError(RoadmaskError):
    """The store cannot be written or read; what was committed before is safe."""

    exit_code = 4


class StoreMissingError(StoreError):
    """There is no store where one was to be read."""

    exit_code = 2


class StoreExistsError(StoreError):
    """A store already lies where a new one was to be written."""

    exit_code = 2


class StoreResumeError(StoreError):
    """A store was begun with other sources, settings, weights or engine than those that are to go on with it."""

    exit_code = 2


class StoreLockedError(StoreError):
    """Another process writes to the store."""


class StoreSchemaError(StoreError):
    """The store was written by another version of the layout."""

    exit_code = 2


class StoreCorruptError(StoreError):
    """What is stored contradicts itself."""


class LedgerError(StoreError):
    """Frames that were captured are neither stored, dropped nor failed."""
