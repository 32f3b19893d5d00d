"""A cache by frame size: memory, contexts and captured graphs take many times the memory of a frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Generic, TypeVar

T = TypeVar("T")

SIZES_MAX = 4
"""Number of frame sizes that are cached: more than the cameras of a car have, and few enough for a GPU's memory."""


class FrameSizeCache(Generic[T]):
    """Caches one value for each of the `SIZES_MAX` frame sizes that were used last.

    Args:
        drop: called with a value that is evicted, before the value that replaces it is made.
    """

    def __init__(self, drop: Callable[[T], None] = lambda _: None) -> None:
        self._values: OrderedDict[tuple[int, int], T] = OrderedDict()
        self._drop = drop

    def get(self, size: tuple[int, int], make: Callable[[], T]) -> T:
        """Returns the value for a frame size (height, width), made by `make` if it is not cached."""
        if size not in self._values:
            while len(self._values) >= SIZES_MAX:
                self._drop(self._values.popitem(last=False)[1])
            self._values[size] = make()
        self._values.move_to_end(size)
        return self._values[size]

    def clear(self) -> None:
        """Drops every value, even if `drop` fails for one of them."""
        with ExitStack() as dropping:
            while self._values:
                dropping.callback(self._drop, self._values.popitem()[1])
