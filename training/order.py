"""Which images each step sees: a function of the seed and the step alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadmask.training.samples import TrainingImage

REPEAT_THRESHOLD = 0.2
"""Classes that show in a smaller share of the images are seen more often."""


def repeat_factors(images: Sequence[TrainingImage], threshold: float = REPEAT_THRESHOLD) -> NDArray[np.float64]:
    """Returns how often each image is seen, on average, in one pass: at least once.

    Repeat-factor sampling (Gupta, Dollár and Girshick, LVIS, 2019): an image is repeated by max(1, sqrt(t / f)) of its
    rarest class, f being the share of images that show the class.

    Args:
        images: N images.
        threshold: t, 0 to 1; 0 sees every image once.

    Returns:
        (N,) factors, 1 or more.
    """
    shown = [{each.category_id for each in image.objects if not each.crowd} for image in images]
    count = Counter(category for categories in shown for category in categories)
    factor = {category: max(1.0, (threshold * len(images) / seen) ** 0.5) for category, seen in count.items()}
    return np.array([max([factor[category] for category in categories], default=1.0) for categories in shown])


class ImageOrder:
    """The endless order in which images are seen.

    Each pass shuffles all images; an image of factor 2.3 is in it twice, and a third time with a chance of 0.3.

    Args:
        factors: (N,) how often each image is seen in a pass.
        seed: of the order.
    """

    def __init__(self, factors: NDArray[np.float64], seed: int) -> None:
        self._factors, self._seed = factors, seed
        self._starts = [0]
        self._pass: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def __getitem__(self, place: int) -> int:
        """Returns the image at a place of the order; places may be asked for in any order."""
        while self._starts[-1] <= place:
            self._starts.append(self._starts[-1] + len(self._images_of_pass(len(self._starts) - 1)))
        number = int(np.searchsorted(self._starts, place, side="right")) - 1
        return int(self._images_of_pass(number)[place - self._starts[number]])

    def _images_of_pass(self, number: int) -> NDArray[np.int64]:
        if self._pass[0] != number:
            rng = np.random.default_rng((self._seed, number))
            whole, part = np.divmod(self._factors, 1)
            times = (whole + (rng.random(len(part)) < part)).astype(np.int64)
            self._pass = number, rng.permutation(np.repeat(np.arange(len(times)), times))
        return self._pass[1]
