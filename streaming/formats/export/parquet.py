"""Parquet: a table with one row for each instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.store import CameraReader, StoredFrame

SCHEMA = pa.schema(
    [
        ("camera", pa.string()),
        ("epoch", pa.int32()),
        ("frame_index", pa.int64()),
        ("timestamp_ns", pa.int64()),
        ("captured_at", pa.timestamp("us", tz="UTC")),
        ("track_id", pa.int64()),
        ("state", pa.uint8()),
        ("category_id", pa.int32()),
        ("class", pa.string()),
        ("score", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("area", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("rle", pa.binary()),
    ]
)
"""Columns of the table; `rle` holds COCO's compressed run lengths for an image of `height` x `width` pixels."""
_ROWS_PER_GROUP = 16_384
"""Number of rows in a row group, which limits the memory to a few megabytes of run lengths."""


def write(job: ExportJob, path: Path) -> None:
    """Writes the instances in the order of the store; frames without one have no row."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as table:
        waiting: list[pa.RecordBatch] = []
        for camera, frame in job.frames():
            if len(frame):
                waiting.append(pa.RecordBatch.from_pydict(_columns(camera, frame), SCHEMA))
            if sum(map(len, waiting)) >= _ROWS_PER_GROUP:
                table.write_table(pa.Table.from_batches(waiting, SCHEMA))
                waiting.clear()
        if waiting:
            table.write_table(pa.Table.from_batches(waiting, SCHEMA))


def _columns(camera: CameraReader, frame: StoredFrame) -> dict[str, Any]:
    seen = frame.instances
    assert seen.masks is not None  # noqa: S101 - a store keeps masks
    masks = seen.masks.to_rle()
    same = {
        "camera": camera.name,
        "epoch": frame.epoch,
        "frame_index": frame.frame_index,
        "timestamp_ns": frame.timestamp_ns,
        "captured_at": camera.wall_clock(frame.timestamp_ns, frame.epoch),
        "height": seen.image_size[0],
        "width": seen.image_size[1],
    }
    return {
        **{name: [value] * len(frame) for name, value in same.items()},
        "track_id": frame.track_ids,
        "state": frame.states,
        "category_id": seen.category_ids.astype("int32"),
        "class": [camera.class_name(category_id) for category_id in seen.category_ids.tolist()],
        "score": seen.scores,
        **{side: seen.boxes[:, n] for n, side in enumerate(("x1", "y1", "x2", "y2"))},
        "area": masks.area,
        "rle": list(masks.counts),
    }
