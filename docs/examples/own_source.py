"""A source of your own: the images of a NumPy file, recorded into a store like any other camera."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import roadmask
from roadmask.extend import BaseSource, CameraJob


class ArraySource(BaseSource):
    """Reads a .npy file of uint8 images, shape (T, H, W, 3), RGB, at a constant frame rate."""

    clock = "media"  # timestamps count from the start of the recording

    def __init__(self, camera: str, path: Path, fps: float = 10.0) -> None:
        images = np.load(path, mmap_mode="r")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise roadmask.InputError(
                f"expected uint8 images of shape (T, H, W, 3) in {path}, got {images.dtype} {images.shape}."
            )
        self.camera = camera
        self.fps = fps
        self.frames_expected = len(images)
        self.captured = 0
        self._path, self._images = path, images

    def describe(self) -> dict[str, Any]:
        """Returns what identifies the recording, for the store: no folders, no secrets."""
        return {
            "kind": "array",
            "file": self._path.name,
            "sha256": hashlib.sha256(self._path.read_bytes()).hexdigest(),
            "image_size": list(self._images.shape[1:3]),
            "fps": self.fps,
        }

    def __iter__(self) -> Iterator[roadmask.Frame]:
        """Reads from the start, one frame for each captured image."""
        self.require_open()
        self.captured = 0
        for n, image in enumerate(self._images):
            self.require_open()
            self.captured += 1
            timestamp_ns = round(n * 1e9 / self.fps)
            yield roadmask.Frame(self.camera, 0, n, timestamp_ns, self.clock, np.array(image))


def open_array(camera: str, specs: Sequence[str]) -> ArraySource:
    """Opens a camera from what stands in its job."""
    return ArraySource(camera, Path(specs[0]))


if __name__ == "__main__":
    recording, out = sys.argv[1:3]  # such as front.npy drive.zarr
    job = CameraJob("front", (recording,), opener=open_array)
    print(roadmask.record_drive([job], out).cameras[0].ledger)
