"""Every relative link of the README and the docs leads somewhere, and so does the part after its `#`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.pages import PAGES, ROOT, without_blocks

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+?)\s*$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    titles = _HEADING.findall(without_blocks(page.read_text(encoding="utf-8")))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def problem(page: Path, target: str) -> str | None:
    if "://" in target:
        return None
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.is_relative_to(ROOT) or not found.exists():
        return f"there is no {path}"
    generated = "<!-- generated:" in found.read_text(encoding="utf-8") if found.suffix == ".md" else False
    if anchor and not generated and anchor not in anchors(found):
        return f"{found.name} has no heading {anchor}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = without_blocks(page.read_text(encoding="utf-8"))
    problems = {target: why for target in _LINK.findall(text) if (why := problem(page, target))}
    assert not problems


def test_a_dead_link_and_a_dead_anchor_are_found() -> None:
    readme = ROOT / "README.md"
    assert problem(readme, "docs/no-such-page.md") == "there is no docs/no-such-page.md"
    assert problem(readme, "CONTRIBUTING.md#no-such-part") == "CONTRIBUTING.md has no heading no-such-part"
    assert problem(readme, "CONTRIBUTING.md#rules") is None


def test_every_page_of_the_site_is_in_its_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
