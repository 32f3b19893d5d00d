"""Whether OpenVINO works on this machine, for `roadmask doctor`."""

from __future__ import annotations

from roadmask.engines.extras import pip_command
from roadmask.engines.status import EngineStatus
from roadmask.engines.table import ENGINES


def engine_status() -> list[EngineStatus]:
    """Returns one row: OpenVINO's version, the processor, and the precision that `auto` chooses on it."""
    if ENGINES["openvino"].missing_packages():
        return [EngineStatus("openvino", False, "openvino is not installed", pip_command())]
    try:
        from roadmask.engines.openvino.segmenter import describe_device  # noqa: PLC0415 - it imports openvino

        return [EngineStatus("openvino", True, describe_device(), "")]
    except (ImportError, RuntimeError, OSError) as error:  # a package that does not fit the machine
        return [EngineStatus("openvino", False, f"openvino does not run here: {error}", pip_command())]
