"""For tests of your own: contracts, and a segmenter that follows a script.

There is a contract for engines, trackers, sources, sinks and export formats; those of roadmask pass theirs.

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
    from roadmask.testing.export_contract import ExportContract as ExportContract
    from roadmask.testing.segmenter_contract import SegmenterContract as SegmenterContract
    from roadmask.testing.sink_contract import SinkContract as SinkContract
    from roadmask.testing.source_contract import SourceContract as SourceContract
    from roadmask.testing.tracker_contract import TrackerContract as TrackerContract

__all__ = [
    "ExportContract",
    "ScriptedSegmenter",
    "SegmenterContract",
    "SinkContract",
    "SourceContract",
    "TrackerContract",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.engines.scripted": ["ScriptedSegmenter"],
        "roadmask.testing.export_contract": ["ExportContract"],
        "roadmask.testing.segmenter_contract": ["SegmenterContract"],
        "roadmask.testing.sink_contract": ["SinkContract"],
        "roadmask.testing.source_contract": ["SourceContract"],
        "roadmask.testing.tracker_contract": ["TrackerContract"],
    },
)

_pytest = sys.modules.get("pytest")
if _pytest is not None:  # a failing assertion of a contract then shows the values that it compared
    _pytest.register_assert_rewrite(
        *(f"roadmask.testing.{part}_contract" for part in ("export", "segmenter", "sink", "source", "tracker"))
    )
