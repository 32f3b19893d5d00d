"""Sums what the installed packages that roadmask requires list in their RECORD, and builds the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from roadmask.engines.errors import EngineError

_ROOT = Path(__file__).resolve().parents[2]


def required_packages(extras: tuple[str, ...] = ()) -> set[str]:
    """Returns the packages that the checkout requires on this machine, directly or through others.

    Args:
        extras: extras of roadmask; each must list packages, not other extras.

    Raises:
        EngineError: one of them is not installed.
    """
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    found: dict[str, set[str]] = {}
    left = [Requirement(each) for each in named]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        chosen = {"", *requirement.extras} | found.get(name, set())
        if chosen == found.get(name):
            continue
        found[name] = chosen
        try:
            further = distribution(name).requires or []
        except PackageNotFoundError as error:
            raise EngineError(f"expected {name} to be installed, it is not: install what is to be measured.") from error
        left += [
            each
            for each in map(Requirement, further)
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in chosen)
        ]
    return set(found)


def installed_bytes(package: str) -> int:
    """Returns the sum of the sizes in a package's RECORD; bytecode, which RECORD lists without a size, is left out."""
    return sum(file.size or 0 for file in distribution(package).files or ())


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of the checkout, offline, and returns its path in a folder.

    Raises:
        EngineError: it cannot be built.
    """
    rooms = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["roadmask"]["rooms"]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    with TemporaryDirectory(prefix="roadmask-wheel-") as copy:  # setuptools writes beside what it packs
        for name in ("roadmask", "docs", *rooms):  # the models' card is a page of docs
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(_ROOT / name, Path(copy) / name, symlinks=True, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(_ROOT / name, copy)
        command = [sys.executable, "-m", "pip", "wheel", *options, copy]
        built = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if built.returncode:
        raise EngineError(f"the wheel cannot be built: {built.stderr.strip()}")
    [wheel] = folder.glob("roadmask-*.whl")
    return wheel
