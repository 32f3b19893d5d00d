"""Assignment is optimal, gives only pairs with a gain, and splits large problems without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from roadmask.engines import assignment
from roadmask.engines.assignment import assign

GAINS = arrays(np.float64, st.tuples(st.integers(0, 8), st.integers(0, 8)), elements=st.sampled_from([0, 0, 0.25, 1]))


@given(GAINS)
def test_no_other_pairs_gain_more(gain: np.ndarray) -> None:
    rows, columns = assign(gain)
    assert gain[rows, columns].sum() == gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert (gain[rows, columns] > 0).all()
    assert (np.diff(rows) > 0).all()
    assert len(set(columns.tolist())) == len(columns)


@pytest.mark.parametrize(("shape", "share"), [((300, 200), 0.005), ((20, 400), 0.2), ((150, 150), 1), ((120, 9), 0)])
def test_a_large_problem_is_solved_group_by_group(shape: tuple[int, int], share: float) -> None:
    random = np.random.default_rng(0)
    gain = random.random(shape) * (random.random(shape) < share)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    made = gain[rows, columns] > 0
    found = assign(gain)
    assert np.array_equal(found, (rows[made], columns[made]))


def test_groups_are_what_gains_connect() -> None:
    gain = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]], np.float64)
    rows, columns = assignment._groups(gain)
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 0, 4], [0, 0, 4, 1])
