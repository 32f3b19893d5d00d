"""What `roadmask.tracking` offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import roadmask.tracking


def test_all_is_sorted_and_there() -> None:
    assert list(roadmask.tracking.__all__) == sorted(roadmask.tracking.__all__)
    assert all(hasattr(roadmask.tracking, name) for name in roadmask.tracking.__all__)


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("torch", "ray", "zarr", "av", "openvino", "matplotlib", "typer")
    script = f"import sys, roadmask.tracking; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
