"""What to install when an optional package is missing."""

from __future__ import annotations

from roadmask.engines.errors import EngineError


def missing_package(package: str, purpose: str, *, extra: str | None = None) -> EngineError:
    """Returns the error that says which package is missing for what, and the command that installs it."""
    return EngineError(f"{purpose} needs {package}, which is not installed: {pip_command(extra)}")


def pip_command(extra: str | None = None) -> str:
    """Returns the command that installs roadmask with an extra."""
    return f"pip install 'roadmask[{extra}]'" if extra else "pip install --upgrade roadmask"
