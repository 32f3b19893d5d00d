"""The folder where exported graphs and compiled models are kept between runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def folder() -> Path:
    """Returns the cache folder: the environment's ROADMASK_CACHE, else the user's cache folder for roadmask."""
    named = os.environ.get("ROADMASK_CACHE")
    return Path(named).expanduser() if named else user_cache_path("roadmask")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that readers see all of it or nothing; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
