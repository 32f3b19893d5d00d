"""The one form of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roadmask.engines.errors import InputError
from roadmask.streaming.results_json import write_results


def test_one_object_with_machine_versions_and_results(tmp_path: Path) -> None:
    write_results(tmp_path / "r.json", [{"name": "a", "ms": 1.5}])
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["results"] == [{"name": "a", "ms": 1.5}]
    assert document["machine"]["cores"] >= 1
    assert {"roadmask", "python", "numpy"} <= document["versions"].keys()


def test_nothing_measured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one record"):
        write_results(tmp_path / "r.json", [])


def test_an_unwritable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the results"):
        write_results(tmp_path / "file" / "r.json", [{"name": "a"}])
