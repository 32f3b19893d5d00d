"""How long tests wait for what should be so at once: longer than any busy machine takes."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 120.0
"""Starting a process that imports torch or Ray takes a machine with ten other things to do a minute."""


def wait_until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Returns as soon as a condition holds; an AssertionError says what was waited for in vain."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"waited {patience_s:g} s in vain: {what}"
        time.sleep(0.02)
