"""The log as one JSON object a line, for machines that watch a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from roadmask.engines.errors import InputError
from roadmask.streaming.redaction import redact_record


class _LogFile(logging.FileHandler):
    """A log that can no longer be written is given up; the run goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - the name logging gives it
        logger = logging.getLogger("roadmask")
        logger.removeHandler(self)
        logger.warning("the log %s cannot be written any more: is the disk full?", self.baseFilename)

    def close(self) -> None:
        with suppress(OSError):  # what is still buffered has no place either
            super().close()


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


@contextmanager
def json_log(path: Path | None) -> Iterator[None]:
    """Adds a JSON log of everything roadmask says; nothing where no path is given.

    A log that is there already goes on. Each line has `time` (ISO 8601), `level`, `logger`, `message`, and the event's
    own fields.

    Raises:
        InputError: the file cannot be written, or is something else than such a log.
    """
    if path is None:
        yield
        return
    try:
        if path.exists() and path.stat().st_size and not _first_byte(path) == b"{":
            raise InputError(f"expected --log-json to be a new file or a log to go on with, {path} is something else.")
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the log {path}: {error.strerror}.") from None
    handler.addFilter(redact_record)
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
