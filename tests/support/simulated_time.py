"""An event loop whose time passes only where somebody waits, so that a busy machine changes no result."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedClock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += math.ceil(seconds * 1e9)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """As `asyncio.run`, in the time of this clock. No timer may be pending while another thread works."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(main)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(_Selector(clock))
        self._simulated = clock

    def time(self) -> float:
        return self._simulated.now_ns / 1e9


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._simulated = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(None if timeout is None else 0)
        if timeout and not ready:
            self._simulated.sleep(timeout)
        return ready
