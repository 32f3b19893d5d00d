"""Stores are what the table of the layout says, of this schema version, and readers stand what the table allows."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from roadmask.engines.errors import StoreSchemaError
from roadmask.streaming.store import CameraWriter, check_drive, open_drive, summarize_drive
from roadmask.streaming.store.layout import ARRAYS, METADATA, PROPAGATED_ARRAYS, SCHEMA_VERSION, read_attributes
from roadmask.streaming.store.summary_plot import plot_summary
from support.stores import SMALL, create, record, street

OPTIONAL = [name for name, spec in (ARRAYS | PROPAGATED_ARRAYS).items() if not spec.required]


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    return record(tmp_path / "drive.zarr", street(20), propagated=True)


def remove(drive: Path, name: str) -> None:
    """As a roadmask would write it that does not have this array: neither its files nor its metadata."""
    shutil.rmtree(drive / "front/0" / name)
    root = json.loads((drive / METADATA).read_text())
    del root["consolidated_metadata"]["metadata"][f"front/0/{name}"]
    (drive / METADATA).write_text(json.dumps(root))


def test_every_array_of_a_store_is_in_the_table_and_as_it_says(drive: Path) -> None:
    epoch = open_drive(drive)["front"].epochs[0]
    group = zarr.open_group(drive, mode="r")["front/0"]
    arrays = {name: node for name, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
    written = ARRAYS | PROPAGATED_ARRAYS
    assert arrays.keys() == written.keys()
    sizes = {**epoch.extent.sizes, "y": 24, "x": 40, "corner": 4}
    for name, spec in written.items():
        assert arrays[name].dtype == spec.dtype, name
        assert arrays[name].metadata.dimension_names == spec.dims, name
        assert arrays[name].shape == tuple(sizes[dim] for dim in spec.dims), name
        assert arrays[name].attrs["long_name"] == spec.meaning, name


@pytest.mark.parametrize("padding", [0, 40_000], ids=["attributes first", "attributes beyond the part read first"])
@pytest.mark.parametrize("indent", [2, None], ids=["as zarr writes it", "in one line"])
@pytest.mark.parametrize("last", ["node_type", "attributes", "consolidated_metadata"])
def test_attributes_are_read_from_metadata_of_any_form(
    tmp_path: Path, padding: int, indent: int | None, last: str
) -> None:
    attributes = {"text": "é" * padding + "\n  },\n", "nested": {"consolidated_metadata": {"attributes": {}}}}
    consolidated = {"metadata": {f"{n}": {"attributes": {"n": n}, "node_type": "array"} for n in range(500)}}
    root: dict[str, Any] = {
        "attributes": attributes,
        "zarr_format": 3,
        "consolidated_metadata": consolidated,
        "node_type": "group",
    }
    root[last] = root.pop(last)
    (tmp_path / METADATA).write_text(json.dumps(root, indent=indent, ensure_ascii=False), encoding="utf-8")
    assert read_attributes(tmp_path) == attributes


def test_the_table_names_owners_that_are_there() -> None:
    for name, spec in ARRAYS.items():
        module = importlib.import_module(f"roadmask.streaming.{spec.owner}")
        assert f'"{name}"' in Path(module.__file__ or "").read_text() or name == module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_reader_goes_on_without_an_optional_array(drive: Path, tmp_path: Path, name: str) -> None:
    before = open_drive(drive)["front"]
    expected = [before.frame(n).instances.masks.counts for n in range(20)], before.epochs[0].area
    remove(drive, name)
    camera = open_drive(drive)["front"]
    assert [camera.frame(n).instances.masks.counts for n in range(20)] == expected[0]
    np.testing.assert_array_equal(camera.epochs[0].area, expected[1])
    assert len(camera.track(1)) > 0
    report = check_drive(drive)
    assert report.ok, report.problems
    expected_notes = [f"camera front epoch 0 has no {name}, which is optional"] if name in ARRAYS else []
    assert report.notes == expected_notes
    summarize_drive(drive)
    plot_summary(drive, tmp_path / "drive.png")


@pytest.mark.parametrize("name", [name for name in ARRAYS if name not in OPTIONAL])
def test_a_required_array_that_is_missing_is_damage(drive: Path, name: str) -> None:
    remove(drive, name)
    assert not check_drive(drive).ok


@pytest.mark.parametrize("name", ["semantic", "frames/blur", "instances/depth"])
def test_a_reader_goes_past_an_array_that_it_does_not_know(drive: Path, tmp_path: Path, name: str) -> None:
    array = zarr.create_array(drive, name=f"front/0/{name}", shape=(20, 3), dtype="float16", dimension_names=("a", "b"))
    array[:] = 1
    camera = open_drive(drive)["front"]
    assert camera.frame(3).track_ids.tolist() == [1, 2]
    report = check_drive(drive)
    assert report.ok, report.problems
    assert report.notes == [f"camera front epoch 0 has {name}, which this roadmask does not know: it was not checked"]
    summary = summarize_drive(drive)
    assert summary.stored_bytes == sum(path.stat().st_size for path in drive.rglob("*") if path.is_file())
    plot_summary(drive, tmp_path / "drive.png")


def test_an_epoch_that_lacks_an_optional_array_is_resumed(tmp_path: Path) -> None:
    path, frames = tmp_path / "drive.zarr", street(20)
    with create(path), CameraWriter(path, "front", SMALL) as writer:
        writer.start_epoch(0, (24, 40), "media", propagated=True)
        for n, tracks in enumerate(frames[:10]):
            writer.append(n, n, tracks, Remembered())
        writer.suspend()
    for name in OPTIONAL:
        remove(path, name)
    with create(path, resume=True), CameraWriter(path, "front", SMALL, resume=True) as writer:
        for n, tracks in enumerate(frames[10:], 10):
            writer.append(n, n, tracks, Remembered())
        writer.close(captured=20)
    camera = open_drive(path)["front"]
    assert [camera.frame(n).instances.masks.counts for n in range(20)] == [
        tracks.instances.masks.counts for tracks in frames
    ]
    assert check_drive(path).ok


class Remembered:
    """The state of a tracker."""

    def to_arrays(self) -> dict[str, Any]:
        return {"ids": np.arange(3)}


def of_version(drive: Path, version: int, written_by: str) -> Path:
    root = json.loads((drive / METADATA).read_text())
    root["attributes"] |= {"schema_version": version, "roadmask_version": written_by}
    (drive / METADATA).write_text(json.dumps(root))
    return drive


def test_a_store_of_an_older_version_is_refused_with_what_to_do(drive: Path) -> None:
    of_version(drive, 1, "0.1.0")
    said = rf"has schema version 1, this roadmask reads version {SCHEMA_VERSION}: record the drive again, or export it"
    with pytest.raises(StoreSchemaError, match=said) as refused:
        open_drive(drive)
    assert "the roadmask that wrote it (0.1.0)" in str(refused.value)
    assert refused.value.exit_code == 2
    with pytest.raises(StoreSchemaError, match=said):
        create(drive, resume=True)


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(drive: Path) -> None:
    of_version(drive, SCHEMA_VERSION + 1, "9.1.0")
    with pytest.raises(StoreSchemaError, match=r"pip install --upgrade 'roadmask>=9.1.0'"):
        open_drive(drive)


def test_metadata_in_the_root_that_is_out_of_date_is_found(drive: Path) -> None:
    root = json.loads((drive / METADATA).read_text())
    root["consolidated_metadata"]["metadata"]["front/0/id_map"]["shape"][0] = 3
    (drive / METADATA).write_text(json.dumps(root))
    (problem,) = check_drive(drive).problems
    assert problem.path == Path("front/0/id_map", METADATA)
    assert "differs from its copy" in problem.what
