"""Starts Ray on machines that are busy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TRIES = 3
_log = logging.getLogger(__name__)


def started(start: Callable[[], T], undo: Callable[[], object]) -> T:
    """What `start` gives, tried again where it fails: Ray gives a node half a minute, and cannot be told to wait more.

    Args:
        start: starts Ray.
        undo: ends what of it was started.
    """
    for _ in range(TRIES - 1):
        try:
            return start()
        except Exception as error:  # a plain one is what Ray raises
            _log.warning("Ray did not start: %r", error)
            undo()
    return start()
