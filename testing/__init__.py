"""For tests of your own: contracts that every engine, source and sink must pass, and a segmenter that follows a script.

Subclass a contract in a test file and provide what its docstring asks for; pytest finds the inherited tests::

    from roadmask.testing import SegmenterContract

    class TestMyEngine(SegmenterContract):
        @pytest.fixture
        def segmenter(self):
            return MyEngine()

The contracts need pytest; `ScriptedSegmenter` does not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.engines.scripted import ScriptedSegmenter as ScriptedSegmenter
    from roadmask.testing.segmenter_contract import SegmenterContract as SegmenterContract
    from roadmask.testing.sink_contract import SinkContract as SinkContract
    from roadmask.testing.source_contract import SourceContract as SourceContract

__all__ = ["ScriptedSegmenter", "SegmenterContract", "SinkContract", "SourceContract"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.engines.scripted": ["ScriptedSegmenter"],
        "roadmask.testing.segmenter_contract": ["SegmenterContract"],
        "roadmask.testing.sink_contract": ["SinkContract"],
        "roadmask.testing.source_contract": ["SourceContract"],
    },
)

_pytest = sys.modules.get("pytest")
if _pytest is not None:  # a failing assertion of a contract then shows the values that it compared
    _pytest.register_assert_rewrite(*(f"roadmask.testing.{part}_contract" for part in ("segmenter", "sink", "source")))
