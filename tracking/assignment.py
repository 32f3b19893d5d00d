"""Who goes with whom so that the sum is largest: solved by scipy, which is slow to import.

That takes a third of a second, as long as a run needs for its first frames. So it is imported when it is first needed,
or beside the network's compiling if whoever starts a run says so early.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from roadmask.tracking.motion import Floats

_SOLVER = "scipy.optimize"


def assign(gain: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the paired rows and columns of (N, M) gains, min(N, M) of each, in the order of the rows."""
    rows, columns = import_module(_SOLVER).linear_sum_assignment(gain, maximize=True)
    return rows, columns


def load_solver_soon() -> None:
    """Imports scipy on a thread of its own, which ends with that; nothing if it is there."""
    if _SOLVER not in sys.modules:
        threading.Thread(target=import_module, args=(_SOLVER,), name="solver").start()
