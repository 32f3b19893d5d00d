"""Every error that roadmask raises on purpose.

RoadmaskError
├── InputError             the caller's arguments or files cannot be used      (exit code 2)
│   ├── ConfigError        a configuration key or value
│   ├── SourceError        a camera, video file or folder of images
│   ├── PageError          an address the live page cannot be served at, or its token
│   ├── WeightsError       model weights
│   ├── CalibrationError   a camera's calibration, or the file that holds it
│   ├── InstancesError     arrays that do not describe instances
│   └── PositionError      a position at which a camera of a store has no frame
├── EngineError            a segmenter cannot be built or run on this machine  (exit code 2)
│   ├── TensorRtMissingError  the package that builds or runs plans is not installed
│   ├── GpuMissingError       no NVIDIA GPU where one is needed
│   ├── DriverTooOldError     the GPU's driver is older than CUDA here needs
│   ├── DeviceMemoryError     the GPU's memory is full
│   ├── BuildError            TensorRT refuses the graph or the target
│   └── PlanError             a cached plan does not match its manifest
│       ├── PlanTamperedError the plan or its manifest was changed
│       └── PlanForeignError  the plan is for another graph, TensorRT or chip
├── RunError               a process of the run died; what is committed is safe (exit code 4)
└── StoreError             the store cannot be written or read                 (exit code 4)
    ├── StoreMissingError  there is no store at the path to read               (exit code 2)
    ├── StoreExistsError   something exists at the path of a new store         (exit code 2)
    ├── StoreResumeError   it was created with other input or settings         (exit code 2)
    ├── StoreSchemaError   written by another version of the layout            (exit code 2)
    ├── StoreLockedError   another writer holds the store
    ├── StoreCorruptError  what is stored contradicts itself
    └── LedgerError        frames went missing between the camera and the store

They are defined in the lowest room because imports run one way. Each message says what was expected, what came, and
what to do.
"""

from __future__ import annotations


class RoadmaskError(Exception):
    """Base of all errors that roadmask raises on purpose."""

    exit_code = 1


class InputError(RoadmaskError, ValueError):
    """The caller's arguments or files cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration key or value is invalid."""


class SourceError(InputError):
    """A camera, video file or folder of images cannot be read."""


class PageError(InputError):
    """The live page cannot be served at the given address, or its token is invalid."""


class WeightsError(InputError):
    """Model weights are missing, unsafe to load, or those of another architecture."""


class CalibrationError(InputError):
    """A camera's calibration contradicts itself, or its file cannot be read."""


class InstancesError(InputError):
    """Arrays do not describe instances of one image."""


class PositionError(InputError, IndexError):
    """A camera of a store has no frame at a position."""


class EngineError(RoadmaskError):
    """A segmenter cannot be built or run on this machine."""

    exit_code = 2


class TensorRtMissingError(EngineError):
    """The package that builds or runs TensorRT plans is not installed."""


class GpuMissingError(EngineError):
    """An NVIDIA GPU is needed and there is none."""


class DriverTooOldError(EngineError):
    """The GPU's driver is older than the installed CUDA libraries require."""


class DeviceMemoryError(EngineError):
    """The GPU's memory is full."""


class BuildError(EngineError):
    """TensorRT cannot build a plan from the graph for the target."""


class PlanError(EngineError):
    """A cached TensorRT plan cannot be used."""


class PlanTamperedError(PlanError):
    """A plan or its manifest was changed after it was written. Plans are code, so it is not loaded."""


class PlanForeignError(PlanError):
    """A plan was built from another graph, by another TensorRT, or for another chip."""


class RunError(RoadmaskError):
    """A process of the run died; what was committed before is safe."""

    exit_code = 4


class StoreError(RoadmaskError):
    """The store cannot be written or read; what was committed before is safe."""

    exit_code = 4


class StoreMissingError(StoreError):
    """There is no store at the path to read."""

    exit_code = 2


class StoreExistsError(StoreError):
    """Something exists already at the path of a new store."""

    exit_code = 2


class StoreResumeError(StoreError):
    """A store cannot be resumed: it was created with other sources, settings, weights or another engine."""

    exit_code = 2


class StoreLockedError(StoreError):
    """Another process is writing to the store."""


class StoreSchemaError(StoreError):
    """The store was written in another version of the layout."""

    exit_code = 2


class StoreCorruptError(StoreError):
    """The content of the store contradicts itself."""


class LedgerError(StoreError):
    """Captured frames are missing: they are neither stored, dropped nor failed."""
