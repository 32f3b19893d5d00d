"""What the tests of runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

import support.drives
from support.browser import Browser
from support.patient_ray import started


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One Ray for the tests of this module: starting it takes seconds."""
    # The actors cannot import what only the tests can.
    ray.cloudpickle.register_pickle_by_value(support.drives)
    # Not the cluster that another test has started beside this one, which Ray would join if it could.
    options = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False, "object_store_memory": 256 * 2**20}
    started(lambda: ray.init(address="local", **options), ray.shutdown)
    yield
    ray.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(support.drives)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """A browser that remembers nothing of the test before."""
    chromium.forget()
    return chromium


@pytest.fixture
def phone() -> Iterator[Browser]:
    with Browser(width=420, height=860, phone=True, dark=True) as opened:
        yield opened
