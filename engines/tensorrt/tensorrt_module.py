"""TensorRT 10 and 11 and TensorRT for RTX: one Python API under two names, imported when first needed."""

from __future__ import annotations

import re
from collections import deque
from importlib import import_module
from typing import Any, Literal, get_args

from roadmask.engines.errors import BuildError, TensorRtMissingError

Flavour = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_PACKAGES = {"tensorrt": "tensorrt-cu13", "tensorrt-rtx": "tensorrt-rtx-cu13"}
_MAJORS = {"tensorrt": (10, 11), "tensorrt-rtx": (1,)}


def package_of(flavour: Flavour) -> str:
    """Returns the name of the package that pip installs."""
    return _PACKAGES[flavour]


def load_tensorrt(flavour: Flavour) -> Any:
    """Returns TensorRT's Python module.

    Raises:
        TensorRtMissingError: it is not installed, does not load, or is of a version that roadmask does not know.
    """
    package = _PACKAGES[flavour]
    try:
        module = import_module(_MODULES[flavour])
    except (ImportError, OSError) as error:
        raise TensorRtMissingError(
            f"the flavour {flavour} needs {package}, which does not load ({error}): pip install {package}"
        ) from error
    version = str(module.__version__)
    if int(version.split(".", maxsplit=1)[0]) not in _MAJORS[flavour]:
        known = " or ".join(str(major) for major in _MAJORS[flavour])
        raise TensorRtMissingError(
            f"expected {package} {known}, got {version}: pip install '{package}>={_MAJORS[flavour][0]},"
            f"<{_MAJORS[flavour][-1] + 1}'"
        )
    return module


def targets(module: Any) -> dict[str, Any]:
    """Returns the chips that TensorRT for RTX knows, oldest first: `sm89` and TensorRT's own name for it."""
    found = {}
    for name, value in vars(module.ComputeCapability).items():
        if re.fullmatch(r"SM\d+", name):
            found[name.lower()] = value
    return {name: found[name] for name in sorted(found, key=lambda name: int(name[2:]))}


def find_target(module: Any, target: str) -> Any:
    """Returns TensorRT's own name of a chip.

    Raises:
        BuildError: it does not build for that chip.
    """
    known = targets(module)
    if target not in known:
        raise BuildError(
            f"expected a target of {', '.join(known)}, got {target!r}: other "
            "chips need the flavour tensorrt, which builds on a machine with that GPU."
        )
    return known[target]


def listener(tensorrt: Any) -> Any:
    """Returns a logger for TensorRT that collects warnings and errors; `said()` returns them for an error message."""

    class Listener(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._errors: deque[str] = deque(maxlen=3)

        def log(self, severity: Any, message: str) -> None:
            if severity in {self.INTERNAL_ERROR, self.ERROR}:
                self._errors.append(message)

        def said(self) -> str:
            return "; ".join(self._errors) or "nothing"

    return Listener()
