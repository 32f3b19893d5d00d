"""How a live run is set up, and how its recorders are made from that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from roadmask.engines.errors import ConfigError
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.threads import default_threads
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.live.retention import Retention
from roadmask.streaming.live.store_sink import FLOOR_BYTES, LiveStoreSink
from roadmask.streaming.sinks.sink import TrackSink

if TYPE_CHECKING:
    from roadmask.streaming.live.recorder import LiveRecorder

MakeSinks = Callable[[str], Sequence[TrackSink]]
"""Returns the further sinks of a camera; called in the process that records it."""


@dataclass(frozen=True)
class LiveSettings:
    """Everything that decides how a live run goes."""

    config: RunConfig = field(default_factory=RunConfig)
    """Engine, tracker and store; the same as of recorded runs."""
    budget_ms: float | None = None
    """Latency budget in milliseconds: maximum age of a frame when its batch completes. If None, three times what a full
    batch takes, which follows the engine."""
    floor_bytes: int = FLOOR_BYTES
    """Free disk below which nothing is stored, bytes."""
    retention: Retention | None = None
    """How much of the store is kept; everything if None."""
    adapt: bool = True
    """Whether images are offered to the engine at a steady rate if the cameras send more than it can take."""
    busy_input_sizes: tuple[str, ...] = ()
    """Smaller and smaller network input sizes, HxW, for when the engine cannot give each camera `busy_fps`."""
    busy_fps: float = 5.0
    """Images per second of each camera below which a smaller network input size is used."""
    command: str = ""
    """Command line of the run, which the store's provenance keeps."""

    def __post_init__(self) -> None:
        if self.busy_input_sizes and not self.adapt:
            raise ConfigError("expected smaller network inputs only where the run follows the load: leave adapt on.")
        usual = self.config.engine.parsed_input_size
        sizes = [*([usual] if usual else []), *map(parse_input_size, self.busy_input_sizes)]
        for before, after in pairwise(sizes):
            if after[0] * after[1] >= before[0] * before[1]:
                got = ", ".join(f"{height}x{width}" for height, width in sizes)
                raise ConfigError(f"expected each network input smaller than the one before it, got {got}.")

    def engines(self) -> list[EngineConfig]:
        """Returns the engine's configuration at each input size, from the largest to the smallest."""
        usual = self.config.engine
        return [usual, *(replace(usual, input_size=size) for size in self.busy_input_sizes)]

    def with_threads(self) -> LiveSettings:
        """Returns the settings with the engine's threads stated: Ray would give an actor another number."""
        threads = self.config.engine.threads or default_threads()
        config = replace(self.config, engine=replace(self.config.engine, threads=threads))
        return replace(self, config=config)


@dataclass(frozen=True)
class RecorderSettings:
    """What every recorder of a run needs."""

    config: RunConfig
    """Tracker, store, and regions to ignore."""
    class_names: dict[int, str]
    """Category id -> name."""
    store: Path | None
    """The store, which exists; None to watch only."""
    floor_bytes: int
    """Free disk below which nothing is stored, bytes."""
    retention: Retention | None
    """How much each camera keeps; everything if None."""
    show: bool
    """Whether images are drawn."""
    sinks: MakeSinks | None = None
    """Makes further sinks of a camera."""

    def recorder(self, camera: str) -> LiveRecorder:
        """Returns a recorder, which begins the camera or continues after its last commit.

        Raises:
            StoreError: the camera cannot be stored.
        """
        from roadmask.geometry.distance.estimator import DistanceEstimator  # noqa: PLC0415
        from roadmask.streaming.live.recorder import LiveRecorder  # noqa: PLC0415 - loads all that draws
        from roadmask.streaming.pipeline import TrackStage  # noqa: PLC0415
        from roadmask.streaming.recording.recorder import build_tracker  # noqa: PLC0415

        calibration = self.config.calibration_of(camera)
        store = None
        if self.store is not None:
            store = LiveStoreSink(
                self.store,
                self.config.store,
                retention=self.retention,
                floor_bytes=self.floor_bytes,
                calibration=calibration,
            )
        distance = None if calibration is None else DistanceEstimator(calibration)
        track = TrackStage(build_tracker(self.config), self.config.ignore_region(camera), distance)
        further = () if self.sinks is None else self.sinks(camera)
        return LiveRecorder(camera, track, self.class_names, store, further)
