"""Stores that were written when a schema version was released are read for as long as it is supported."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from roadmask.streaming.store import check_drive
from roadmask.streaming.store.layout import SCHEMA_VERSION
from support.frozen_store import content, write_drive

DATA = Path(__file__).parent / "data"
VERSIONS = ["v2"]


@pytest.fixture(params=VERSIONS)
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict]:
    with tarfile.open(DATA / f"{request.param}.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "drive.zarr", json.loads((DATA / f"{request.param}.json").read_text())


def test_every_value_is_what_it_was(frozen: tuple[Path, dict]) -> None:
    path, expected = frozen
    assert content(path) == expected
    assert check_drive(path).ok


def test_the_values_are_those_that_were_written(frozen: tuple[Path, dict]) -> None:
    """Said once more without a reader of ours, so that the values above are not only what we make of them."""
    front = zarr.open_group(frozen[0], mode="r")["front"]
    assert front["0/frames/timestamp_ns"][:].tolist() == [1_772_353_800_123_456_789 + n * 33_333_333 for n in range(10)]
    assert front["0/frames/frame_index"][:].tolist() == list(range(0, 20, 2))
    assert front["0/instances/track_id"][:].tolist() == [7, 7, 0] * 3
    assert front["3/instances/box"][:].tolist() == [[1, 1, 9, 5], [6, 2, 12, 8]]
    id_map = front["3/id_map"][0]
    assert id_map[3, :12].tolist() == [0] + [8] * 8 + [9] * 3, "the higher score keeps what both claim"
    assert front.attrs["committed"]["0"]["frames"] == 10


def test_xarray_opens_it(frozen: tuple[Path, dict]) -> None:
    xr = pytest.importorskip("xarray", reason="needs the dev group")
    times = xr.open_zarr(frozen[0], group="front/0/frames").timestamp_ns.values
    assert str(times[0]) == "2026-03-01T08:30:00.123456789"
    np.testing.assert_array_equal(np.diff(times).astype(int), 33_333_333)


def test_the_newest_one_means_what_is_written_today(tmp_path: Path) -> None:
    assert VERSIONS[-1] == f"v{SCHEMA_VERSION}"
    write_drive(tmp_path / "today.zarr")
    expected, today = json.loads((DATA / f"{VERSIONS[-1]}.json").read_text()), content(tmp_path / "today.zarr")
    for each in (expected, today):
        del each["attributes"]["roadmask_version"]
    assert today == expected
