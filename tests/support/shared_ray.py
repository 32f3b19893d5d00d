"""One Ray for all tests of a process that need any: starting it takes seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import ray

import support.drives
import support.field

T = TypeVar("T")
TRIES = 3
BY_VALUE = (support.drives, support.field)
"""Modules that the actors cannot import, because only the tests can."""
_log = logging.getLogger(__name__)


def patiently(start: Callable[[], T], undo: Callable[[], object]) -> T:
    """Returns what `start` gives, tried again where it fails: Ray allows a node half a minute, and no more.

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


def start() -> None:
    """Starts Ray, unless it runs already."""
    if ray.is_initialized():
        return
    for module in BY_VALUE:
        ray.cloudpickle.register_pickle_by_value(module)
    # Not the cluster that another test has started beside this one, which Ray would join if it could.
    options = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False, "object_store_memory": 256 * 2**20}
    patiently(lambda: ray.init(address="local", **options), ray.shutdown)


def stop() -> None:
    """Ends what `start` started, if it still runs."""
    if ray.is_initialized():
        ray.shutdown()
    for module in BY_VALUE:
        if module.__name__ in ray.cloudpickle.list_registry_pickle_by_value():
            ray.cloudpickle.unregister_pickle_by_value(module)
