"""How many threads compute where nothing else is asked for."""

from __future__ import annotations

import os

import psutil


def default_threads() -> int:
    """Returns the number of physical cores, or of logical ones where the system does not tell; at least 1.

    The last digits of some engines depend on their number of threads. Runs therefore always set it, to this or to what
    was asked for: a library's own default may differ between a program and an actor of Ray.
    """
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1
