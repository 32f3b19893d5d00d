"""What all tests share: where real data lies, and what may not skip in continuous integration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real clips and ground truth; the test skips where it is absent."""
    named = os.environ.get("ROADMASK_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "README.md").is_file():
        reason = f"needs real data in {folder}; set ROADMASK_DATA to its folder"
        if os.environ.get("ROADMASK_REQUIRE_SYSTEM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
