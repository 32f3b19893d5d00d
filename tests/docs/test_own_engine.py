"""The engine of the docs passes the contract of every engine."""

import pytest
from own_engine import RedThings

from roadmask.testing import SegmenterContract


class TestRedThings(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> RedThings:
        return RedThings()
