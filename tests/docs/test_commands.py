"""Every command that the docs name exists, and takes the options that they give it."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from roadmask.cli import app
from support.pages import PAGES, ROOT, code_of

_START = re.compile(r"(?:^|(?<=[\s;(]))(?:\S+=\S+ )*(?:\.venv/bin/)?(?=roadmask |python -m benchmarks\.|make )")


def lines_of(page: Path) -> Iterator[tuple[str, str]]:
    """Yields (place, line) for each line of code that is no program."""
    for code in code_of(page):
        if code.language in {"", "inline", "sh", "bash", "console"}:
            text = code.text.replace("\\\n", " ")
            for line in text.splitlines():
                yield str(code), line.partition(" #")[0].strip()


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{path} {name}")


def options(command: Any) -> set[str]:
    found = {"--help", "-h"}
    for parameter in command.params:
        found |= {*parameter.opts, *parameter.secondary_opts}
    return found


@cache
def commands() -> dict[str, Any]:
    return dict(walk(typer.main.get_command(app), "roadmask"))


@cache
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {name for line in re.findall(r"^([a-z][\w -]*):", makefile, re.MULTILINE) for name in line.split()} | {
        name for line in re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE) for name in line.split()
    }


def problem(line: str) -> str | None:
    """Returns what is wrong with a command line; None if it is right, or no command of ours."""
    if not (start := _START.match(line)):
        return None
    words = shlex.split(line[start.end() :].replace("[", "").replace("]", ""))
    if words[0] == "make":
        wanted = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        missing = [word for word in wanted if word.islower() and word not in targets()]
        return f"make has no target {missing[0]}" if missing else None
    if words[0] == "python":
        name = words[2]
        if name.endswith(".NAME"):
            return None
        return None if importlib.util.find_spec(name) else f"there is no {name}"
    path, rest = words[0], words[1:]
    while rest and f"{path} {rest[0]}" in commands():
        path, rest = f"{path} {rest[0]}", rest[1:]
    command = commands()[path]
    if hasattr(command, "commands") and rest and re.fullmatch(r"[a-z][a-z-]+", rest[0]):
        return f"{path} has no command {rest[0]}"
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options(command)]
    return f"{path} has no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_commands_exist(page: Path) -> None:
    problems = [f"{place}: {line}: {why}" for place, line in lines_of(page) if (why := problem(line))]
    assert not problems


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("roadmask run front=a.mp4 --out drive.zarr", None),
        ("roadmask runs front=a.mp4", "roadmask has no command runs"),
        ("roadmask bench motion", "roadmask bench has no command motion"),
        ("roadmask run a.mp4 --shape 384x640", "roadmask run has no option --shape"),
        ("make -k bars", None),
        ("make PART='camera_share = 1' tracking-part", None),
        ("make dokumentation", "make has no target dokumentation"),
        ("python -m benchmarks.store SOURCE", None),
        ("python -m benchmarks.stores", "there is no benchmarks.stores"),
        ("ROADMASK_DATA=... .venv/bin/python -m benchmarks.stores", "there is no benchmarks.stores"),
    ],
)
def test_a_wrong_command_is_found(line: str, why: str | None) -> None:
    assert problem(line) == why
