"""A segmenter that follows a script, so that anyone can test the code after an engine without a network."""

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
        script: one `Instances` for each image in turn, from the first again after the last; or a function of the image
            and its number, which counts from 0 over all calls.
        classes: names of the classes in `info`.
        delay_s: seconds that each image takes.
        fail_at: numbers of the images on which the segmenter raises EngineError.

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
        """What the segmenter is made of."""
        return self._info

    @property
    def images(self) -> int:
        """Number of images passed so far, including those that failed."""
        return self._count

    def warm_up(self, image_size: tuple[int, int]) -> None:
        """Does nothing; the script does not advance."""

    def __call__(self, images: Sequence[Image]) -> list[Instances]:
        """Returns the script's next instances; see `Segmenter`."""
        return [self._next(image) for image in list(map(checked_image, images))]

    def _next(self, image: Image) -> Instances:
        number, self._count = self._count, self._count + 1
        if self._delay_s:
            time.sleep(self._delay_s)
        if number in self._fail_at:
            raise EngineError(f"scripted failure on image {number}, as fail_at asks for.")
        found = self._script(image, number) if callable(self._script) else self._script[number % len(self._script)]
        if found.image_size != image.shape[:2]:
            raise EngineError(
                f"expected an image of {found.image_size}, as the script has for image {number}, got one of "
                f"{image.shape[:2]}: script the size of the images."
            )
        return found
