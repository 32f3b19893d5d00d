"""Optimal assignment of rows to columns, solved by the algorithm of Jonker and Volgenant (package lap)."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
_LARGE = 100
"""Number of rows or columns from which a problem is split: lap takes seconds for thousands with few gains."""


def assign(gain: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Pairs rows with columns one to one so that the sum of their gains is largest.

    Args:
        gain: (N, M) gains, finite, 0 or more. A pair without gain is not made.

    Returns:
        Row and column of each pair, in the order of the rows.
    """
    if max(gain.shape) < _LARGE:
        return _solve(gain)
    rows, columns = _groups(gain)
    found = [(np.zeros(0, np.intp),) * 2]
    for group in np.unique(rows[rows < gain.shape[0]]):
        members, others = np.flatnonzero(rows == group), np.flatnonzero(columns == group)
        one, other = _solve(gain[np.ix_(members, others)])
        found.append((members[one], others[other]))
    pairs = np.concatenate(found, axis=1)
    order = np.argsort(pairs[0])
    return pairs[0][order], pairs[1][order]


def _solve(gain: NDArray[np.float64]) -> tuple[Rows, Rows]:
    if not gain.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    # Of columns with the same gain lap takes the last one: in reversed order that is the first.
    _, partners, _ = lap.lapjv(np.ascontiguousarray(-gain[:, ::-1]), extend_cost=True)
    rows = np.flatnonzero(partners >= 0)
    columns = gain.shape[1] - 1 - partners[rows].astype(np.intp)
    made = gain[rows, columns] > 0
    return rows[made], columns[made]


def _groups(gain: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Returns a number for each row and column, the same for those that gains connect; N for those without any."""
    ends, begins = np.nonzero(gain)
    rows, columns = np.arange(gain.shape[0]), np.full(gain.shape[1], gain.shape[0])
    rows[np.bincount(ends, minlength=len(rows)) == 0] = len(rows)
    while True:
        before = rows.copy()
        np.minimum.at(columns, begins, rows[ends])
        np.minimum.at(rows, ends, columns[begins])
        if np.array_equal(rows, before):
            return rows, columns
