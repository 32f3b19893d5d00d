"""The configuration as Markdown, read from the commented example that every run can be given."""

from __future__ import annotations

import re
from pathlib import Path

_SECTION = re.compile(r"\[(?P<name>\w+)\]")
_SETTING = re.compile(r"(?P<off># )?(?P<key>\w+) = (?P<value>.+)")


def settings_page(example: Path) -> str:
    """Returns a table for each section of the example, with every key, its default and what its comment says.

    Raises:
        ValueError: a key has no comment above it.
    """
    lines: list[str] = []
    comment: list[str] = []
    in_section = False
    for line in example.read_text(encoding="utf-8").splitlines():
        section, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if section or (setting and not in_section):
            name = f"[{section['name']}]" if section else "Top level"
            lines += [f"\n### {name}\n", "| key | default | meaning |", "|---|---|---|"]
            in_section = True
        if setting:
            if not comment:
                raise ValueError(f"{example}: expected a comment above {setting['key']}, got none: describe the key.")
            default = "not set" if setting["off"] else f"`{setting['value']}`"
            lines.append(f"| `{setting['key']}` | {default} | {' '.join(comment)} |")
        if line.startswith("# ") and not setting:
            comment.append(line.removeprefix("# ").replace("|", "\\|"))
        else:
            comment = []
    return "\n".join(lines)
