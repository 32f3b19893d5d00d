"""Runs a graph until its non-maximum suppression has converged, whatever runs the graph.

A graph unrolls a fixed number of NMS steps and says whether they were enough (nms.py says why that is exact). If they
were not, it is run again from where its NMS stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from roadmask.engines.errors import EngineError


def run_until_converged(run: Callable[[], bool], resume: Callable[[], None], slots: Iterable[int]) -> int:
    """Runs a graph again and again until its NMS has converged.

    Args:
        run: runs the graph, and returns whether its NMS converged.
        resume: makes the next run start where the NMS of this one stopped.
        slots: number of boxes that each NMS of the graph decides on.

    Returns:
        The number of runs, at least 1.

    Raises:
        EngineError: NMS did not converge, though every run decides at least one more box.
    """
    runs_max = 1 + sum(slots)  # the last run only sees that nothing changed
    for runs in range(1, runs_max + 1):
        if run():
            return runs
        resume()
    raise EngineError(
        f"expected non-maximum suppression to converge in {runs_max} runs, it did not: the graph or plan is damaged. "
        "Delete the cache that `roadmask doctor` names, and try again."
    )
