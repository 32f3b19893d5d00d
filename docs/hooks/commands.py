"""The command line as Markdown, read from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from roadmask.cli import app

_MARKUP = (
    (re.compile(r"\[dim\](.*?)\[/\]", re.DOTALL), r"*\1*"),
    (re.compile(r"\[bold[^\]]*\](.*?)\[/\]", re.DOTALL), r"`\1`"),
)
"""What help texts hold of rich's markup, and what it is in Markdown."""


def commands_page() -> str:
    """Returns one section for each command, with its usage, arguments and options."""
    program = typer.main.get_command(app)
    return "\n".join(_section(program, "roadmask", None))


def _section(command: Any, path: str, parent: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=path.rpartition(" ")[2], parent=parent)
    inner = getattr(command, "commands", {})
    if parent is not None:
        yield f"{'#' * (1 + path.count(' '))} {path}\n"
    if not inner:
        usage = re.sub(r"[{}]", "", " ".join(command.collect_usage_pieces(context))).replace("......", "...")
        yield f"```\n{path} {usage}\n```\n"
    yield f"{_markdown(command.help or '')}\n"
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [
            record
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and (record := parameter.get_help_record(context))
        ]
        if records:
            yield f"| {title} | |\n|---|---|"
            yield from (f"| `{_cell(name)}` | {_cell(_markdown(text))} |" for name, text in records)
            yield ""
    for name, nested in inner.items():
        yield from _section(nested, f"{path} {name}", context)


def _markdown(text: str) -> str:
    """Returns a help text as Markdown; a paragraph of bold text alone is an example, and becomes a code block."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        example = re.fullmatch(r"\[bold\](.*?)\[/\]", paragraph.strip(), re.DOTALL)
        if example:
            paragraphs.append(f"```\n{example[1]}\n```")
            continue
        escaped = paragraph.replace("<", "&lt;")
        for pattern, replacement in _MARKUP:
            escaped = pattern.sub(replacement, escaped)
        paragraphs.append(escaped.replace("\\[", "["))
    return "\n\n".join(paragraphs)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
