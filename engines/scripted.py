"""A segmenter that says what it is told to, so that anyone can test what follows an engine without a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from roadmask.engines.classes import CLASS_NAMES, DEFAULT_CLASSES, category_ids
from roadmask.engines.errors import EngineError
from roadmask.engines.images import checked_picture
from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image, SegmenterInfo

Script = Sequence[Instances] | Callable[[Image, int], Instances]


class ScriptedSegmenter:
    """Returns scripted instances.

    Args:
        script: one `Instances` for each picture in turn (then it begins again), or a function of the picture and its
            number, counted from 0 over all calls.
        classes: what `info` says it reports.
        delay_s: seconds each picture takes.
        fail_at: numbers of the pictures on which it raises EngineError.

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
    def pictures(self) -> int:
        """Pictures it was asked about so far, those that failed included."""
        return self._count

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Does nothing; the script does not move on."""

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Returns the script's next instances; see `Segmenter`."""
        return [self._next(picture) for picture in [checked_picture(image) for image in images]]

    def _next(self, picture: Image) -> Instances:
        number, self._count = self._count, self._count + 1
        if self._delay_s:
            time.sleep(self._delay_s)
        if number in self._fail_at:
            raise EngineError(f"scripted failure on picture {number}.")
        found = self._script(picture, number) if callable(self._script) else self._script[number % len(self._script)]
        if found.image_size != picture.shape[:2]:
            raise EngineError(
                f"the script's instances {number} belong to a picture of {found.image_size}, "
                f"got one of {picture.shape[:2]}: script the size of the pictures."
            )
        return found
