"""Creates the empty arrays of an epoch, and opens them for writing."""

from __future__ import annotations

import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from roadmask.streaming.store.config import StoreConfig
from roadmask.streaming.store.files import DurableStore
from roadmask.streaming.store.growing_array import GrowingArray
from roadmask.streaming.store.layout import (
    ARRAYS,
    METADATA,
    RLE_CHUNK,
    EpochInfo,
    Extent,
    array_attributes,
    row_shape,
    rows_per_file,
)


def create_epoch(store: DurableStore, camera: str, info: EpochInfo, config: StoreConfig) -> None:
    """Creates the group of an epoch with all of `ARRAYS`.

    Id maps and run lengths are sharded, so that a single image or mask can be read from a large file; the other arrays
    are small. Every chunk ends with a crc32c, because zstd's own checksum does not cover its header.

    Raises:
        StoreError: the store cannot be written.
    """
    base = f"{camera}/{info.epoch}"
    shard_frames = config.shard_frames(info.image_size)
    with store.commit():
        zarr.create_group(store, path=base, attributes=info.to_dict())
        for part in sorted({name.split("/")[0] for name in ARRAYS if "/" in name}):
            zarr.create_group(store, path=f"{base}/{part}")
        for name, spec in ARRAYS.items():
            rows, row = Extent().rows(spec), row_shape(name, info.image_size)
            file_rows = rows_per_file(name, shard_frames)
            chunk_rows = {"id_map": 1, "instances/rle": RLE_CHUNK}.get(name, file_rows)
            array = zarr.create_array(
                store,
                name=f"{base}/{name}",
                shape=(rows, *row),
                dtype=spec.dtype,
                chunks=(chunk_rows, *row),
                shards=(file_rows, *row) if chunk_rows < file_rows else None,
                serializer=BytesCodec(),
                compressors=[ZstdCodec(level=config.compression_level), Crc32cCodec()],
                fill_value=0,
                attributes=array_attributes(name, info.clock),
                dimension_names=spec.dims,
                chunk_key_encoding={"name": "default", "separator": "."},  # no folder for each file
                config={"write_empty_chunks": True},  # so that a missing file always means damage
            )
            if rows:
                array[:] = 0


def open_arrays(
    store: DurableStore, camera: str, info: EpochInfo, extent: Extent, config: StoreConfig
) -> dict[str, GrowingArray]:
    """Opens the arrays of an epoch to append after its extent; missing optional arrays are left out.

    Raises:
        StoreCorruptError: an array cannot be read back.
    """
    base = f"{camera}/{info.epoch}"
    return {
        name: GrowingArray(store, f"{base}/{name}", extent.rows(spec), config.compression_level)
        for name, spec in ARRAYS.items()
        if spec.required or (store.root / base / name / METADATA).is_file()
    }
