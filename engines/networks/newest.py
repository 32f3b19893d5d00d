"""What is kept ready for a size of frames: memory, contexts and captured graphs are many times as large as a frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Generic, TypeVar

T = TypeVar("T")

SIZES_MAX = 4
"""Sizes of frames that are kept ready: more than the cameras of a car have, and few enough for a GPU's memory."""


class NewestSizes(Generic[T]):
    """Keeps something for each of the `SIZES_MAX` sizes of frames that were asked for last.

    Args:
        drop: called with what is given up, before what takes its place is made.
    """

    def __init__(self, drop: Callable[[T], None] = lambda _: None) -> None:
        self._kept: OrderedDict[tuple[int, int], T] = OrderedDict()
        self._drop = drop

    def get(self, size: tuple[int, int], make: Callable[[], T]) -> T:
        """Returns what is kept for a size, made if need be."""
        if size not in self._kept:
            while len(self._kept) >= SIZES_MAX:
                self._drop(self._kept.popitem(last=False)[1])
            self._kept[size] = make()
        self._kept.move_to_end(size)
        return self._kept[size]

    def clear(self) -> None:
        """Drops everything, also after something whose `drop` fails."""
        with ExitStack() as dropping:
            while self._kept:
                dropping.callback(self._drop, self._kept.popitem()[1])
