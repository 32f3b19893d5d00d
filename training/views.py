"""The views of a run, prepared in a thread while the network learns from the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from roadmask.training.augment import View, make_view
from roadmask.training.order import ImageOrder, repeat_factors
from roadmask.training.samples import TrainingImage
from roadmask.training.settings import TrainingSettings

AHEAD = 3
"""Batches prepared ahead."""


class ViewSource:
    """Any view of a run: a function of the images, the settings and its place, whatever was asked for before.

    Args:
        images: labelled images, at least one.
        settings: of the run.
    """

    def __init__(self, images: Sequence[TrainingImage], settings: TrainingSettings) -> None:
        self._images, self._settings = images, settings
        self._order = ImageOrder(repeat_factors(images, settings.repeat_threshold), settings.seed)
        # Images of rare classes are pasted: the rarer the class, the oftener.
        surplus = repeat_factors(images, 1.0) - 1
        self._paste_odds = surplus / surplus.sum() if surplus.any() else None

    def __getitem__(self, place: int) -> View:
        """Returns a view.

        Raises:
            InputError: an image cannot be read.
        """
        settings = self._settings
        rng = np.random.default_rng((settings.seed, 1, place))
        image, pasted = self._images[self._order[place]], None
        if rng.random() < settings.paste and self._paste_odds is not None:
            pasted = self._images[int(rng.choice(len(self._images), p=self._paste_odds))]
        return make_view(image, settings.input_size, rng, settings.jitter, pasted)


class BatchLoader:
    """Gives batches in their order, a few of them prepared ahead in a thread.

    Args:
        views: of the run.
        batch: views in a batch.
        first: number of the first batch.
    """

    def __init__(self, views: ViewSource, batch: int, first: int) -> None:
        self._views, self._batch, self._next = views, batch, first
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="views")
        self._ahead: deque[Future[list[View]]] = deque()

    def next(self) -> list[View]:
        """Returns the next batch.

        Raises:
            InputError: an image cannot be read.
        """
        while len(self._ahead) < AHEAD:
            self._ahead.append(self._pool.submit(self._make, self._next))
            self._next += 1
        return self._ahead.popleft().result()

    def _make(self, number: int) -> list[View]:
        return [self._views[number * self._batch + n] for n in range(self._batch)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
