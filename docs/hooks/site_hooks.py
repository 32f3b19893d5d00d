"""What the build of the site adds to MkDocs: generated sections, included files, and a check for external assets.

A page asks for a section with a comment, `<!-- generated: commands -->`, and for a file of the repository with
`<!-- include: CHANGELOG.md -->`. Everything that the code already states comes to the site this way, so that no page
repeats it and ages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from commands import commands_page  # noqa: E402 - found through the path set above
from settings import settings_page  # noqa: E402
from store_layout import store_page  # noqa: E402

GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands_page,
    "settings": lambda: settings_page(ROOT / "configs" / "recorded.toml"),
    "store layout": store_page,
}
"""Name in the comment -> what returns the section."""

ICON = "images/icon.svg"
"""The icon of the live page is that of the site, too."""

_MARKER = re.compile(r"^<!-- (?P<kind>generated|include): (?P<name>.+?) -->$", re.MULTILINE)
_LINK = re.compile(r"(?P<before>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<after>[^)]*\))")
_ASSET = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?P<src>(?:https?:)?//[^"'\s>]+)
    |<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon|manifest|dns-prefetch))[^>]*\bhref=["']?
        (?P<href>(?:https?:)?//[^"'\s>]+)
    |(?:@import\s+["']?|url\(["']?)(?P<url>(?:https?:)?//[^"')\s]+)""",
    re.VERBOSE,
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the icon."""
    icon = ROOT / "streaming" / "page" / "static" / "icon.svg"
    files.append(File.generated(config, ICON, abs_src_path=str(icon)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replaces the comments of a page by what they name."""

    def filled(marker: re.Match[str]) -> str:
        name = marker["name"]
        if marker["kind"] == "include":
            return included(ROOT / name, page.file.src_uri)
        if name not in GENERATED:
            raise PluginError(f"{page.file.src_uri}: expected {', '.join(GENERATED)} to generate, got {name!r}.")
        return GENERATED[name]()

    return _MARKER.sub(filled, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Fails where a page would load anything from elsewhere: the site must work without a network.

    Raises:
        PluginError: a page or style sheet refers to an asset of another host.
    """
    site = Path(config.site_dir)
    external = [
        f"{path.relative_to(site)}: {asset}"
        for path in sorted(site.rglob("*"))
        if path.suffix in {".html", ".css"}
        for asset in external_assets(path.read_text(encoding="utf-8"))
    ]
    if external:
        raise PluginError("expected every asset in the site itself, got:\n" + "\n".join(external))


def external_assets(text: str) -> list[str]:
    """Returns the addresses of other hosts from which a page or a style sheet would load something by itself."""
    return [found["src"] or found["href"] or found["url"] for found in _ASSET.finditer(text)]


def included(path: Path, page: str) -> str:
    """Returns a Markdown file of the repository with its links as seen from a page of the site.

    Links to files that are not in the site, such as a module, become plain text.
    """
    docs = ROOT / "docs"

    def relinked(link: re.Match[str]) -> str:
        if "://" in link["target"]:
            return link[0]
        target = (path.parent / link["target"]).resolve()
        if target in PAGES:
            place = PurePosixPath(PAGES[target])
        elif target.is_relative_to(docs):
            place = PurePosixPath(target.relative_to(docs).as_posix())
        else:
            return link["before"].lstrip("![").removesuffix("](")
        up = len(PurePosixPath(page).parts) - 1
        return f"{link['before']}{'../' * up}{place}{link['after']}"

    return _LINK.sub(relinked, path.read_text(encoding="utf-8"))


PAGES: dict[Path, str] = {
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "README.md": "index.md",
    ROOT / "engines" / "data" / "models.md": "reference/models.md",
}
"""Files of the repository that are pages of the site, and where."""
