"""One recorded drive for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.recorded_drive import record


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two cameras, and beside it what it was recorded from. Read it, never change it."""
    return record(tmp_path_factory.mktemp("recorded"))
