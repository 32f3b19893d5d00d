"""The site's build fails on what would mislead a reader, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from support.pages import ROOT

pytest.importorskip("mkdocs", reason="the site needs mkdocs: make docs installs it")

FAULTY = """
# Start

[a dead link](no-such-page.md), [a dead anchor](first-run.md#no-such-part), [an unknown name][roadmask.no_such_name],
and ![an image](https://example.org/image.png) of another host.
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the build says of a copy of the repository in which one page has every fault."""
    copy = tmp_path_factory.mktemp("site") / "tree"
    ignored = shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", "*.safetensors", ".*_cache")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored)
    (copy / "docs" / "start" / "index.md").write_text(FAULTY)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(copy / "out")]
    built = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode != 0
    return built.stderr + built.stdout


@pytest.mark.ci
@pytest.mark.parametrize("fault", ["no-such-page.md", "#no-such-part", "roadmask.no_such_name"])
def test_a_fault_is_found(log: str, fault: str) -> None:
    assert fault in log


def test_assets_of_other_hosts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "hooks"))
    from site_hooks import external_assets

    assert external_assets('<script src="https://cdn.example.org/a.js">') == ["https://cdn.example.org/a.js"]
    assert external_assets("<link rel='stylesheet' href='//fonts.example.org/a.css'>") == ["//fonts.example.org/a.css"]
    assert external_assets("@import url(https://example.org/a.css)") == ["https://example.org/a.css"]
    assert external_assets('<a href="https://example.org">a link is no asset</a> <img src="images/a.png">') == []
