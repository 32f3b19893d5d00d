"""Starting Ray for users and machines that it does not expect: no home folder, and reasons that it does not state.

Ray reports a process that cannot start as a timeout; the reason stands in its logs, or can be checked here.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable of the environment
_TOKEN_SOURCES = (_TOKEN, "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - checked, never written
_REMEDIES = {
    "permission denied": "change the permissions of what it names",
    "operation not permitted": "allow it to this user",
    "read-only file system": "set RAY_TMPDIR to a folder that can be written",
    "no space left on device": "make room there, or set RAY_TMPDIR to another disk",
    "resource temporarily unavailable": "raise the limit of processes (`ulimit -u`)",
    "too many open files": "raise the limit of open files (`ulimit -n`)",
    "cannot allocate memory": "free memory",
}
"""What the system says in the logs of Ray, and what to do."""
_IN_LOGS = re.compile("|".join(_REMEDIES), re.I)
_LOG_TAIL = 20_000
"""Characters at the end of a log of Ray that are searched for the reason."""
_SHOWN = 120
"""Maximum number of characters that are shown of a line of a log, before what the system says."""
_NO_RAY = "or run in one process, with `roadmask run --no-ray`"


def give_token() -> None:
    """Gives Ray a token for its own processes if this user has no home folder for Ray to keep one in.

    Ray guards its ports with a token in ~/.ray, and does not start where it cannot write there.
    """
    if any(os.environ.get(name) for name in _TOKEN_SOURCES):
        return
    try:
        folder = Path.home() / ".ray"
        if (folder / "auth_token").is_file() or _can_write(folder):
            return
    except RuntimeError:  # neither HOME nor an entry in the list of users
        pass
    os.environ[_TOKEN] = secrets.token_hex(32)


def why_not_started(error: BaseException, since: float) -> str:
    """Returns why Ray did not start, and what to do.

    Args:
        error: what Ray raised.
        since: wall clock when Ray was started, seconds.
    """
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return (
            f"Ray did not start, because this user may not write to {error.filename or 'its folder'} "
            f"({error.strerror}): change its permissions, set RAY_TMPDIR to a folder of your own, {_NO_RAY}."
        )
    if isinstance(error, OSError):
        return f"Ray did not start ({first_line}): free what it lacks, {_NO_RAY}."
    if _SHARED_MEMORY.is_dir() and not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return (
            f"Ray did not start, because this user may not write to {_SHARED_MEMORY}, which it needs for shared "
            f"memory: change its permissions, {_NO_RAY}."
        )
    found = _reason_in_logs(since)
    if found is not None:
        log, line, remedy = found
        return f"Ray did not start. Its log {log} says: {line}. To start it, {remedy}, {_NO_RAY}."
    if "timed out" in str(error).lower() or "timeout" in str(error).lower():
        return (
            f"Ray did not start ({first_line}): it gives up after a minute, so try again when the machine is less "
            f"busy, {_NO_RAY}."
        )
    return f"Ray did not start ({first_line}): remove this cause, {_NO_RAY}."


def _can_write(folder: Path) -> bool:
    """Returns whether a folder exists that this user may write to, and makes it if need be, as Ray would."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _reason_in_logs(since: float) -> tuple[Path, str, str] | None:
    """Returns the newest log of this start that names a refusal of the system, its line, and what to do."""
    for log in sorted(_logs(since), key=_written, reverse=True):
        with suppress(OSError):
            for line in reversed(log.read_text(errors="replace")[-_LOG_TAIL:].splitlines()):
                if said := _IN_LOGS.search(line):
                    return log, line[max(said.start() - _SHOWN, 0) : said.end()].strip(), _REMEDIES[said[0].lower()]
    return None


def _logs(since: float) -> Iterator[Path]:
    root = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    with suppress(OSError):
        for session in (root / "ray").glob(f"session_*_{os.getpid()}"):
            with suppress(OSError):
                if session.stat().st_mtime >= since - 1:
                    yield from (session / "logs").glob("*.err")
                    yield from (session / "logs").glob("*.out")


def _written(log: Path) -> float:
    try:
        return log.stat().st_mtime
    except OSError:
        return time.time()
