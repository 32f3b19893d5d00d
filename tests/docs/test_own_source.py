"""The source of the docs passes the contract of every source."""

from pathlib import Path

import numpy as np
from own_source import ArraySource

from roadmask.testing import SourceContract


class TestArraySource(SourceContract):
    frames = 5
    image_size = (24, 32)

    def open(self, folder: Path) -> ArraySource:
        images = np.random.default_rng(0).integers(0, 256, (self.frames, *self.image_size, 3), np.uint8)
        np.save(folder / "front.npy", images)
        return ArraySource(self.camera, folder / "front.npy")
