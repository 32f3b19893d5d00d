"""The log as one JSON object a line, for machines that watch a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from roadmask.engines.errors import InputError


@contextmanager
def json_log(path: Path | None) -> Iterator[None]:
    """Adds a JSON log of everything roadmask says; nothing where no path is given.

    Each line has `time` (ISO 8601), `level`, `logger`, `message`, and the event's own fields.

    Raises:
        InputError: the file cannot be written.
    """
    if path is None:
        yield
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the log {path}: {error.strerror}.") from None
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    logger = logging.getLogger("roadmask")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
