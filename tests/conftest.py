"""What all tests share: where real data lies, and what may not skip in continuous integration."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Exported graphs of the tests, also of the processes they start: exported once a session, gone after it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROADMASK_CACHE", str(folder))
        yield folder
