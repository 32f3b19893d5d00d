"""The sample drive as a camera: it needs no file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

import numpy as np

from roadmask.engines.errors import SourceError
from roadmask.engines.segmenter import Image
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource


class SyntheticSource(BaseSource):
    """Frames of the sample drive, rendered as they are read; equal configurations give equal pixels."""

    clock: Clock = "media"

    def __init__(self, camera: str, config: SampleDriveConfig) -> None:
        self.camera = camera
        self._config = config
        self._drive = SampleDrive(config)
        self.fps: float | None = float(self._drive.fps)
        self.frames_expected: int | None = len(self._drive)
        self.captured = 0
        self._first: Image | None = None
        """The first image, once it was rendered."""

    def describe(self) -> dict[str, Any]:
        """Returns the configuration, and a hash of the first image that changes when the renderer does."""
        first = self._drive.render(0) if self._first is None else self._first
        config = asdict(self._config)
        return {
            "kind": "synthetic",
            "fps": self.fps,
            "image_size": [config["height"], config["width"]],
            "config": config,
            "first_frame_sha256": hashlib.sha256(first.tobytes()).hexdigest(),
        }

    def image_at(self, frame_index: int) -> Image:
        """Returns the image with a frame index, uint8 (H, W, 3) RGB."""
        return np.ascontiguousarray(self._drive.render(frame_index), np.uint8)

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Renders frame after frame."""
        self.require_open()
        self.captured = 0
        period = 1_000_000_000 / Fraction(self._drive.fps).limit_denominator(1_000_000)
        for index in range(len(self._drive)):
            self.require_open()
            image = self.image_at(index)
            if index == 0:
                self._first = image
            self.captured += 1
            yield Frame(self.camera, 0, index, round(index * period), self.clock, image)


def open_synthetic(request: SourceRequest) -> SyntheticSource:
    """Opens `synthetic:VIEW?fps=10&seconds=4`; every field of the sample drive's configuration is a parameter.

    Raises:
        SourceError: a parameter is unknown, or the sample drive cannot be rendered with its value.
    """
    defaults = SampleDriveConfig()
    names = [field.name for field in fields(SampleDriveConfig) if field.name != "view"]
    stated = request.parameters({name: type(getattr(defaults, name)) for name in names})
    if request.location:
        stated["view"] = request.location
    try:
        return SyntheticSource(request.camera, SampleDriveConfig(**stated))
    except ValueError as error:
        raise SourceError(f"the sample drive cannot be rendered as {request.specs[0]!r}: {error}") from error


def spec_of(description: Mapping[str, Any]) -> str:
    """Returns the spec that renders a described sample drive again."""
    config = dict(description["config"])
    return f"synthetic:{config.pop('view')}?{urlencode(config)}"
