"""Rows read straight from files are those that zarr reads, and nothing broken passes for data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec

from roadmask.engines.errors import StoreCorruptError
from roadmask.streaming.store.layout import ARRAYS, METADATA
from roadmask.streaming.store.stored_array import StoredArray
from support.stores import record, street

ROWS = 37


@pytest.fixture(scope="module")
def epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        record(tmp_path_factory.mktemp("stored") / "drive.zarr", street(20), commit_every=3, propagated=True)
        / "front/0"
    )


def make(folder: Path, **layout: Any) -> tuple[Path, NDArray[Any]]:
    """An array of ROWS rows in chunks of 4, made by zarr."""
    values = np.random.default_rng(3).integers(1, 2**15, (ROWS, 5)).astype(layout.pop("dtype", np.int32))
    array = zarr.create_array(
        folder, **{"shape": values.shape, "dtype": values.dtype, "chunks": (4, 5), "zarr_format": 3} | layout
    )
    array[:] = values
    return folder, values


@pytest.mark.parametrize("name", ARRAYS)
def test_what_a_store_holds_reads_as_zarr_reads_it(epoch: Path, name: str) -> None:
    ours, theirs = StoredArray.open(epoch / name), zarr.open_array(epoch / name, mode="r", zarr_format=3)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    rows = theirs.shape[0]
    for start, stop in {(0, rows), (rows - 1, rows), (rows // 3, rows // 2 + 1), (5, 9)}:
        np.testing.assert_array_equal(ours.read(start, stop)[0], theirs[start:stop])


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({"compressors": None}, id="raw"),
        pytest.param({"compressors": ZstdCodec(level=3)}, id="zstd"),
        pytest.param({"compressors": [ZstdCodec(level=1), Crc32cCodec()]}, id="zstd and checksum"),
        pytest.param({"compressors": Crc32cCodec(), "shards": (12, 5)}, id="shards of raw chunks"),
        pytest.param({"compressors": [ZstdCodec(), Crc32cCodec()], "shards": (16, 5)}, id="shards"),
        pytest.param({"chunk_key_encoding": {"name": "default", "separator": "/"}}, id="folders"),
        pytest.param({"dtype": np.float64, "serializer": BytesCodec(endian="little")}, id="float64"),
        pytest.param({"dtype": np.uint8}, id="bytes"),
    ],
)
def test_every_range_reads_as_it_was_written(tmp_path: Path, layout: dict[str, Any]) -> None:
    folder, values = make(tmp_path / "array", **layout)
    array = StoredArray.open(folder)
    for start in range(0, ROWS, 3):
        for stop in range(start + 1, ROWS + 1, 5):
            np.testing.assert_array_equal(array.read(start, stop)[0], values[start:stop])


def test_only_the_chunks_that_are_asked_for_are_read(tmp_path: Path) -> None:
    folder, _ = make(tmp_path / "array", compressors=None, shards=(16, 5))
    index, chunk = 4 * 16 + 4, 4 * 5 * 4
    assert StoredArray.open(folder).read(5, 6)[1] == index + chunk
    assert StoredArray.open(folder).read(5, 9)[1] == index + 2 * chunk
    assert StoredArray.open(folder).read(15, 17)[1] == 2 * (index + chunk)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        pytest.param({"compressors": GzipCodec()}, "codecs", id="another codec"),
        pytest.param({"serializer": BytesCodec(endian="big")}, "byte order", id="big endian"),
        pytest.param({"chunks": (4, 2)}, "chunks", id="cut across rows"),
    ],
)
def test_another_layout_is_named(tmp_path: Path, layout: dict[str, Any], reason: str) -> None:
    folder, _ = make(tmp_path / "array", **layout)
    with pytest.raises(StoreCorruptError, match=f"expected a Zarr v3 array of bytes, zstd and crc32c.*{reason}"):
        StoredArray.open(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda described: described.pop("shape"), id="no shape"),
        pytest.param(lambda described: described.update(shape=[-1, 5]), id="negative"),
        pytest.param(lambda described: described.update(zarr_format=2), id="old zarr"),
        pytest.param(lambda described: described.update(codecs=[]), id="no codec"),
        pytest.param(lambda described: described.update(data_type="complex1"), id="no such type"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, spoil: Callable[[dict[str, Any]], Any]) -> None:
    folder, _ = make(tmp_path / "array")
    described = json.loads((folder / METADATA).read_text())
    spoil(described)
    (folder / METADATA).write_text(json.dumps(described))
    with pytest.raises(StoreCorruptError, match=METADATA):
        StoredArray.open(folder)


@pytest.mark.parametrize("shards", [None, (16, 5)], ids=["chunks", "shards"])
def test_no_flipped_bit_passes_for_data(tmp_path: Path, shards: tuple[int, int] | None) -> None:
    folder, values = make(tmp_path / "array", compressors=[ZstdCodec(), Crc32cCodec()], shards=shards)
    array = StoredArray.open(folder)
    file = array.file(0)
    sound = file.read_bytes()
    for at in range(0, len(sound), 7):
        broken = bytearray(sound)
        broken[at] ^= 0x10
        file.write_bytes(broken)
        with pytest.raises(StoreCorruptError, match="c/0/0"):
            array.read(0, min(array.file_rows, ROWS))
    file.write_bytes(sound)
    np.testing.assert_array_equal(array.read(0, ROWS)[0], values)


@pytest.mark.parametrize("keep", [0, 3, 60])
@pytest.mark.parametrize("shards", [None, (16, 5)], ids=["chunks", "shards"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, shards: tuple[int, int] | None, keep: int) -> None:
    folder, _ = make(tmp_path / "array", compressors=None, shards=shards)
    array = StoredArray.open(folder)
    array.file(1).write_bytes(array.file(1).read_bytes()[:keep])
    with pytest.raises(StoreCorruptError, match="c/1/0"):
        array.read(array.file_rows, array.file_rows + 2)


def test_a_chunk_that_says_it_is_huge_is_not_unpacked(tmp_path: Path) -> None:
    folder, _ = make(tmp_path / "array", compressors=ZstdCodec())
    huge, _ = make(tmp_path / "huge", compressors=ZstdCodec(), chunks=(ROWS, 5))
    (folder / "c/0/0").write_bytes((huge / "c/0/0").read_bytes())
    with pytest.raises(StoreCorruptError, match=f"expected a chunk of {4 * 5 * 4} bytes, got {ROWS * 5 * 4}"):
        StoredArray.open(folder).read(0, 1)


def test_a_chunk_missing_from_a_shard_is_not_read_as_zeros(tmp_path: Path) -> None:
    folder, values = make(tmp_path / "array", shards=(16, 5))
    array = zarr.open_array(folder, mode="r+", config={"write_empty_chunks": False})
    array[4:8] = 0
    np.testing.assert_array_equal(StoredArray.open(folder).read(0, 4)[0], values[:4])
    with pytest.raises(StoreCorruptError, match="chunk 1 is missing"):
        StoredArray.open(folder).read(0, 8)
