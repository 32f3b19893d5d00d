"""Whether ONNX Runtime is installed, for `roadmask doctor`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from roadmask.engines.extras import pip_command
from roadmask.engines.status import EngineStatus


def engine_status() -> list[EngineStatus]:
    """Returns one row: the version of ONNX Runtime."""
    use = "verifies plans on a CPU, calibrates int8"
    try:
        return [EngineStatus("ONNX Runtime", True, f"{version('onnxruntime')}, {use}", "")]
    except PackageNotFoundError:
        return [EngineStatus("ONNX Runtime", False, f"not installed; {use}", pip_command("tensorrt-rtx"))]
