"""Optimal assignment, solved by scipy.

Importing scipy takes a third of a second, as long as a run needs for its first frames. It is therefore imported when it
is first needed, or in the background while the network is compiled (`load_solver_soon`).
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

_SOLVER = "scipy.optimize"


def assign(gain: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs rows with columns of (N, M) gains so that the sum is largest; returns min(N, M) of both, by row."""
    rows, columns = import_module(_SOLVER).linear_sum_assignment(gain, maximize=True)
    return rows, columns


def load_solver_soon() -> None:
    """Starts to import scipy on another thread, unless it is imported already."""
    if _SOLVER not in sys.modules:
        threading.Thread(target=import_module, args=(_SOLVER,), name="solver").start()
