"""Runs the steps of a Dockerfile in a plain folder, where there is no container runtime.

All stages share one folder, which stands for `/`. Steps that change the system (packages of Debian, users) are left
out. Paths under `/opt`, `/source`, `/cache` and `/data` are those of the folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

_SYSTEM = ("apt-get", "useradd")
_PATH = re.compile(r"(?<![\w./-])/(opt|source|cache|data)\b")


class ContainerFolder:
    """What a Dockerfile makes.

    Args:
        dockerfile: the file.
        context: folder that is copied from.
        root: folder that stands for `/`.
        arguments: of the build.
    """

    def __init__(self, dockerfile: Path, context: Path, root: Path, **arguments: str) -> None:
        self._context, self._root, self._arguments = context, root, arguments
        # The python of the base image, and what package indexes need; nothing of this virtual environment.
        ours = ("PYTHON", "VIRTUAL", "ROADMASK")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = kept | {"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"}
        self.entrypoint: list[str] = []
        text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
        for line in filter(None, map(str.strip, text.splitlines())):
            word, _, rest = line.partition(" ")
            getattr(self, f"_{word.lower()}")(rest.strip())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the entrypoint in the working folder."""
        command = [*self.entrypoint, *arguments]
        folder = self._root / "data"
        folder.mkdir(exist_ok=True)
        found = shutil.which(command[0], path=self.environment["PATH"])
        assert found is not None, f"{command[0]} is not in {self.environment['PATH']}"
        return subprocess.run(
            [found, *command[1:]], cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def _inside(self, text: str) -> str:
        return _PATH.sub(lambda path: f"{self._root}{path[0]}", text)

    def _from(self, rest: str) -> None:
        assert rest.split(maxsplit=1)[0] == "python:3.11-slim"

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.environment[name] = self._arguments.get(name, value.strip('"'))

    def _env(self, rest: str) -> None:
        for pair in rest.split():
            name, _, value = pair.partition("=")
            self.environment[name] = self._inside(value).replace("$PATH", self.environment["PATH"])

    def _copy(self, rest: str) -> None:
        *options, source, target = rest.split()
        if options:
            assert Path(self._inside(source)).exists(), "of an earlier stage"
            return
        assert source == "."
        lines = (self._context / ".dockerignore").read_text().splitlines()
        kept = [line[1:] for line in lines if line.startswith("!")]
        left_out = [line.rpartition("/")[2] for line in lines if "/" in line]
        for name in kept:
            path, copy = self._context / name, Path(self._inside(target)) / name
            if path.is_dir():
                ignored = lambda _, names: [each for each in names if any(fnmatch(each, one) for one in left_out)]  # noqa: E731
                shutil.copytree(path, copy, symlinks=True, ignore=ignored)
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)

    def _run(self, rest: str) -> None:
        if rest.startswith(_SYSTEM):
            return
        step = subprocess.run(
            ["bash", "-euc", self._inside(rest)], env=self.environment, capture_output=True, text=True, check=False
        )
        assert step.returncode == 0, f"{rest}\n{step.stdout}{step.stderr}"

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def _ignored(self, _rest: str) -> None:
        """Nothing in a folder corresponds to this instruction."""

    _user = _workdir = _volume = _cmd = _ignored
