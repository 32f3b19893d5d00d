"""The current epoch of a writer, with the frames that are not committed yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from roadmask.engines import RleMasks
from roadmask.engines.errors import InstancesError
from roadmask.streaming.store.config import StoreConfig
from roadmask.streaming.store.files import DurableStore
from roadmask.streaming.store.growing_array import GrowingArray
from roadmask.streaming.store.id_map import paint_id_map
from roadmask.streaming.store.layout import (
    ALL_ARRAYS,
    METADATA,
    RLE_CHUNK,
    EpochInfo,
    Extent,
    array_attributes,
    epoch_arrays,
    row_shape,
    rows_per_file,
)
from roadmask.streaming.store.rows import Rows


@dataclass
class OpenEpoch:
    """The epoch that frames are appended to, with those that are not committed yet: at most one shard."""

    info: EpochInfo
    """Properties of the epoch."""
    arrays: dict[str, GrowingArray]
    """Arrays of the epoch by name; one that is optional may be missing."""
    shard_frames: int
    """Number of frames in a shard."""
    committed: Extent = field(default_factory=Extent)
    """Extent at the last commit."""
    end: Extent = field(default_factory=Extent)
    """Extent including the frames that are not committed."""
    last_timestamp_ns: int | None = None
    """Capture time of the last frame in nanoseconds; None before the first frame."""

    @classmethod
    def of(cls, store: DurableStore, camera: str, info: EpochInfo, extent: Extent, config: StoreConfig) -> OpenEpoch:
        """Opens an existing epoch to append to what is committed of it."""
        arrays = _open_arrays(store, camera, info, extent, config)
        return cls(info, arrays, config.shard_frames(info.image_size), extent, extent)

    def __post_init__(self) -> None:
        self._image = np.zeros((1, *self.info.image_size), np.uint32)

    @property
    def waiting(self) -> int:
        """Number of frames that are not committed."""
        return self.end.frames - self.committed.frames

    @property
    def full(self) -> bool:
        """Whether the waiting frames complete a shard."""
        return self.waiting > 0 and self.end.frames % self.shard_frames == 0

    def push(self, rows: Rows, masks: RleMasks) -> None:
        """Appends the rows of a frame, and the id map painted from its masks.

        Raises:
            InstancesError: instances are propagated, and the epoch has no array for that.
        """
        if "instances/since_detected_ns" not in self.arrays and rows["instances/since_detected_ns"].any():
            raise InstancesError(
                f"epoch {self.info.epoch}: expected detected instances, got propagated ones: pass propagated=True to "
                "start_epoch."
            )
        paint_id_map(masks, rows["instances/track_id"], rows["instances/score"], self._image[0])
        self.arrays["id_map"].append(self._image)
        for name, row in rows.items():
            if name in self.arrays:  # an epoch may lack an optional one
                self.arrays[name].append(row)
        self.end = Extent(
            self.end.frames + 1,
            self.end.instances + len(rows["instances/category_id"]),
            self.end.rle_bytes + len(rows["instances/rle"]),
        )

    def write(self) -> None:
        """Prepares the files of the waiting frames; may be repeated after a failure."""
        for array in self.arrays.values():
            array.write()

    def mark_committed(self) -> None:
        """Marks the waiting frames as committed."""
        self.committed = self.end
        for array in self.arrays.values():
            array.mark_committed()


def create_epoch(
    store: DurableStore, camera: str, info: EpochInfo, config: StoreConfig, *, propagated: bool, distances: bool
) -> None:
    """Creates the group of an epoch with its arrays, see `epoch_arrays`.

    Id maps and run lengths are sharded, so that a single image or mask can be read from a large file; the other arrays
    are small. Every chunk ends with a crc32c, because zstd's own checksum does not cover its header.

    Raises:
        StoreError: the store cannot be written.
    """
    base, arrays = f"{camera}/{info.epoch}", epoch_arrays(propagated=propagated, distances=distances)
    shard_frames = config.shard_frames(info.image_size)
    with store.commit():
        zarr.create_group(store, path=base, attributes=info.to_dict())
        for part in sorted({name.split("/")[0] for name in arrays if "/" in name}):
            zarr.create_group(store, path=f"{base}/{part}")
        for name, spec in arrays.items():
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


def _open_arrays(
    store: DurableStore, camera: str, info: EpochInfo, extent: Extent, config: StoreConfig
) -> dict[str, GrowingArray]:
    """Opens the arrays of an epoch to append after its extent; missing optional arrays are left out.

    Raises:
        StoreCorruptError: an array cannot be read back.
    """
    base = f"{camera}/{info.epoch}"
    return {
        name: GrowingArray(store, f"{base}/{name}", extent.rows(spec), config.compression_level)
        for name, spec in ALL_ARRAYS.items()
        if spec.required or (store.root / base / name / METADATA).is_file()
    }
