"""A segmenter that says what it is told to, so that anyone can test what follows an engine without a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from roadmask.engines.classes import CLASS_NAMES, DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import EngineError
from roadmask.engines.images import checked_image
from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image, SegmenterInfo

Script = Sequence[Instances] | Callable[[Image, int], Instances]


class ScriptedSegmenter:
    """Returns scripted instances.

    Args:
        script: one `Instances` for each image in turn (then it begins again), or a function of the image and its
            number, counted from 0 over all calls.
        classes: what `info` says it reports.
        delay_s: seconds each image takes.
        fail_at: numbers of the images on which it raises EngineError.

    Raises:
        ValueError: the script is empty.
    """

    def __init__(
        self,
        script: Script,
        *,
        classes: Sequence[str] = DEFAULT_CLASSES,
        delay_s: float = 0.0,
        fail_at: Collection[int] = (),
    ) -> None:
        if not callable(script) and not len(script):
            raise ValueError("expected a script of at least one Instances, got none; use Instances.empty(size).")
        self._script = script
        self._delay_s = delay_s
        self._fail_at = frozenset(fail_at)
        self._count = 0
        names = {category: CLASS_NAMES[category] for category in category_ids(classes)}
        self._info = SegmenterInfo("scripted", "script", "", "none", names, 0.0)

    @property
    def info(self) -> SegmenterInfo:
        """What it is made of."""
        return self._info

    @property
    def images(self) -> int:
        """Images it was asked about so far, those that failed included."""
        return self._count

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Does nothing; the script does not move on."""

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Returns the script's next instances; see `Segmenter`."""
        return [self._next(image) for image in list(map(checked_image, images))]

    def _next(self, image: Image) -> Instances:
        number, self._count = self._count, self._count + 1
        if self._delay_s:
            time.sleep(self._delay_s)
        if number in self._fail_at:
            raise EngineError(f"scripted failure on image {number}.")
        found = self._script(image, number) if callable(self._script) else self._script[number % len(self._script)]
        if found.image_size != image.shape[:2]:
            raise EngineError(
                f"the script's instances {number} belong to an image of {found.image_size}, "
                f"got one of {image.shape[:2]}: script the size of the images."
            )
        return found
