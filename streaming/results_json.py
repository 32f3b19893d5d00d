"""The one form of JSON that roadmask writes: where, with what, and a list of flat records."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import roadmask
from roadmask.engines.errors import InputError
from roadmask.engines.files import write_atomically
from roadmask.engines.threads import default_threads

_PACKAGES = (
    *("numpy", "opencv-python", "openvino", "onnxruntime", "torch", "torchvision", "ray", "zarr"),
    *("trackeval", "trackers", "norfair"),
)

Record = Mapping[str, str | int | float | bool | None]


def write_results(path: Path, results: Sequence[Record]) -> None:
    """Writes results as one object with `machine`, `versions` and `results`.

    Args:
        path: of the file.
        results: at least one flat record.

    Raises:
        InputError: the file cannot be written.
    """
    if not results:
        raise ValueError("expected at least one record, got none: a measurement that measured nothing is an error.")
    document = {"machine": describe_machine(), "versions": describe_versions(), "results": list(results)}
    try:
        write_atomically(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot write the results to {path}: {error.strerror}.") from error


def describe_machine() -> dict[str, Any]:
    """Returns what a reader needs to judge a figure: processor, cores, memory, system."""
    return {
        "processor": _processor(),
        "cores": default_threads(),
        "threads": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_versions() -> dict[str, str]:
    """Returns the versions of roadmask, Python and the libraries that figures depend on, where installed."""
    versions = {"roadmask": roadmask.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
