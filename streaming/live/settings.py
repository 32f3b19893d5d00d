"""How a live run runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from roadmask.engines.errors import ConfigError
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.threads import default_threads
from roadmask.streaming.config import EngineConfig, RunConfig
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.storing import FLOOR_BYTES


@dataclass(frozen=True)
class LiveSettings:
    """What decides how a live run goes."""

    config: RunConfig = field(default_factory=RunConfig)
    out: Path | None = None
    """Store to write; None only watches."""
    budget_ms: float | None = None
    """Latency budget; three times what a full batch takes, if None."""
    floor_bytes: int = FLOOR_BYTES
    """Free disk below which nothing is stored."""
    keep: Keep | None = None
    """How much of what is stored is kept; all if None."""
    adapt: bool = True
    """Offer images to the engine at a steady rate where there are more than it can take."""
    busy_input_sizes: tuple[str, ...] = ()
    """HxW of smaller and smaller inputs of the network, for when it cannot give each camera `busy_fps`."""
    busy_fps: float = 5.0
    """Images a second below which a smaller input is taken."""
    command: str = ""
    """Kept in the store's provenance."""

    def __post_init__(self) -> None:
        if self.busy_input_sizes and not self.adapt:
            raise ConfigError("expected smaller network inputs only where the run follows the load: leave adapt on.")
        usual = self.config.engine.image_size
        shapes = [*([usual] if usual else []), *map(parse_input_size, self.busy_input_sizes)]
        for before, after in pairwise(shapes):
            if after[0] * after[1] >= before[0] * before[1]:
                sizes = ", ".join(f"{height}x{width}" for height, width in shapes)
                raise ConfigError(f"expected each network input smaller than the one before it, got {sizes}.")

    def engines(self) -> list[EngineConfig]:
        """Returns what is asked of the engine at each size, from the largest to the smallest."""
        usual = self.config.engine
        return [usual, *(replace(usual, input_size=size) for size in self.busy_input_sizes)]

    def with_threads(self) -> LiveSettings:
        """Returns them with the engine's threads stated: Ray would give an actor another number."""
        threads = self.config.engine.threads or default_threads()
        config = replace(self.config, engine=replace(self.config.engine, threads=threads))
        return replace(self, config=config)
