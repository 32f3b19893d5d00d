"""The error for a missing optional package, and the command that installs it."""

from __future__ import annotations

from roadmask.engines.errors import EngineError


def missing_package(package: str, purpose: str, *, extra: str | None = None) -> EngineError:
    """Returns an error that names the missing package, what needs it, and the command that installs it.

    Args:
        package: name of the missing package.
        purpose: what needs the package, as the subject of a sentence.
        extra: extra of roadmask that installs the package; None if roadmask itself requires it.
    """
    return EngineError(f"{purpose} needs {package}, which is not installed: {pip_command(extra)}")


def require_plots() -> None:
    """Checks that plots can be drawn, before work is done whose result is to be drawn.

    Raises:
        EngineError: matplotlib is missing; the message holds the command that installs it.
    """
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - optional, and slow to import
    except ImportError as error:
        raise missing_package("matplotlib", "drawing a plot", extra="plots") from error


def pip_command(extra: str | None = None) -> str:
    """Returns the command that installs roadmask, with an extra if one is given."""
    return f"pip install 'roadmask[{extra}]'" if extra else "pip install --upgrade roadmask"
