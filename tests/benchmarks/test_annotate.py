"""Both commands are timed on the same source."""

from __future__ import annotations

import pytest

from benchmarks.annotate.measuring import benchmark_annotate
from roadmask.engines.errors import RunError


@pytest.mark.bars
def test_both_commands_are_timed() -> None:
    record = benchmark_annotate("synthetic:?fps=10&seconds=0.2", 1, 2)
    assert record["rounds"] == 1
    assert min(record["run_s"], record["annotate_s"]) > 0
    assert {"added_share", "added_processor_share"} <= record.keys()


@pytest.mark.ci
def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(RunError, match="roadmask run failed"):
        benchmark_annotate("nowhere.mp4", 1, None)
