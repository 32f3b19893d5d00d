"""How a store is divided into files. Needs no zarr, so that configurations load without it."""

from __future__ import annotations

from dataclasses import dataclass

from roadmask.engines.errors import ConfigError

MIN_SHARD_FRAMES, MAX_SHARD_FRAMES = 8, 64
"""Limits of the number of frames in a shard: fewer make many small files, more are lost when a run is killed."""


@dataclass(frozen=True)
class StoreConfig:
    """How a store is divided into files.

    A shard is what one commit writes and what a killed run can lose. A writer holds one compressed shard of id maps in
    memory.

    Raises:
        ConfigError: a value is out of range.
    """

    shard_mb: float = 256.0
    """Size of the id maps in one file before compression, in 10^6 bytes. The resulting number of frames is limited to
    8 to 64: 64 frames of 960 x 540, 30 frames of 1920 x 1080."""
    compression_level: int = 1
    """zstd level, from 1 (fast) to 22 (small)."""

    def __post_init__(self) -> None:
        if not 0 < self.shard_mb <= 4096:
            raise ConfigError(f"expected shard_mb above 0 and up to 4096, got {self.shard_mb}: 256 suits most drives.")
        if not 1 <= self.compression_level <= 22:
            raise ConfigError(f"expected compression_level from 1 to 22, got {self.compression_level}: 1 is fast.")

    def shard_frames(self, image_size: tuple[int, int]) -> int:
        """Returns the number of id maps of (H, W) pixels in one file."""
        height, width = image_size
        fitting = int(self.shard_mb * 1e6 // (height * width * 4))
        return min(max(fitting, MIN_SHARD_FRAMES), MAX_SHARD_FRAMES)


DEFAULT_STORE_CONFIG = StoreConfig()
