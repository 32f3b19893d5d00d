"""Keeps OpenVINO and NNCF from reporting how they are used."""

from __future__ import annotations


def opt_out() -> None:
    """Makes openvino_telemetry find consent declined in this process, whatever a file in the home folder says.

    Without such a file it would take silence for consent.
    """
    try:
        from openvino_telemetry.utils.opt_in_checker import (  # type: ignore[import-untyped]  # noqa: PLC0415 - may be missing
            ConsentCheckResult,
            OptInChecker,
        )
    except ImportError:
        return  # not installed: nothing can be sent
    OptInChecker.check = lambda *_args, **_kwargs: ConsentCheckResult.DECLINED
