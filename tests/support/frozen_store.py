"""Makes the small store that is frozen for each schema version, and says what is in it.

    PYTHONPATH=tests python -m support.frozen_store tests/streaming/store/data/v2

writes v2.tar.xz and v2.json. A version is frozen once, when it is released; readers are held to it from then on.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from roadmask.streaming.store import CameraReader, CameraWriter, MaskStore, open_drive
from support.stores import SMALL, tracks_of

SIZE = (24, 40)
UNIX_NS = 1_772_353_800_123_456_789


def write_drive(path: Path) -> None:
    """Two cameras: one changes size and clock and lost frames, the other is recorded video that states its start."""
    sources = {"front": {"kind": "live"}, "rear": {"kind": "video", "recorded_at": "2026-03-01T08:30:00+00:00"}}
    names = {1: "pedestrian", 3: "car", 6: "bus"}
    with MaskStore.create(path, class_names=names, engine={"engine": "scripted"}, sources=sources, config={}) as store:
        with CameraWriter(store.path, "front", SMALL) as front:
            front.start_epoch(0, SIZE, "unix", {"rotation": 90})
            for n in range(10):
                boxes = [(n, 4, n + 10, 12), (8, 2, 20, 14)]
                both = tracks_of(SIZE, boxes, [7, 0], category_ids=[3, 6], scores=[0.5, 0.75])
                front.append(2 * n, UNIX_NS + n * 33_333_333, both[: n % 3])
                front.count_lost("dropped", "engine behind")
            front.start_epoch(3, (8, 16), "monotonic")
            boxes = [(1, 1, 9, 5), (6, 2, 12, 8)]
            front.append(20, 5, tracks_of((8, 16), boxes, [8, 9], category_ids=[6, 3], scores=[0.9, 0.4]))
            front.count_lost("failed", "decode")
        with CameraWriter(store.path, "rear", SMALL) as rear:
            rear.start_epoch(0, SIZE, "media")
            rear.append(0, 0, tracks_of(SIZE, [], []))
            rear.append(1, 100_000_000, tracks_of(SIZE, [(0, 0, 40, 24)], [2**32 - 1], category_ids=[1]))


def content(path: Path) -> dict[str, Any]:
    """Returns all that a reader gives out, as plain data."""
    drive = open_drive(path)
    return {"attributes": drive.attributes, "cameras": {name: _camera(camera) for name, camera in drive.items()}}


def _camera(camera: CameraReader) -> dict[str, Any]:
    frames = []
    for position in range(len(camera)):
        frame = camera.frame(position)
        seen = frame.instances
        assert seen.masks is not None
        frames.append(
            {
                "epoch": frame.epoch,
                "frame_index": frame.frame_index,
                "timestamp_ns": frame.timestamp_ns,
                "boxes": seen.boxes.tolist(),
                "scores": seen.scores.tolist(),
                "category_ids": seen.category_ids.tolist(),
                "track_ids": frame.track_ids.tolist(),
                "states": frame.states.tolist(),
                "counts": [counts.decode() for counts in seen.masks.to_rle().counts],
                "id_map": hashlib.sha256(camera.id_map(position).tobytes()).hexdigest(),
            }
        )
    return {
        "ledger": camera.ledger.to_dict(),
        "complete": camera.complete,
        "recording_start": camera.recording_start and camera.recording_start.isoformat(),
        "epochs": [
            {"epoch": each.info.epoch, **each.info.to_dict(), "area": each.area.tolist()} for each in camera.epochs
        ],
        "frames": frames,
    }


def main() -> None:
    """Writes NAME.tar.xz and NAME.json."""
    name = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        drive = Path(scratch) / "drive.zarr"
        write_drive(drive)
        with tarfile.open(name.with_suffix(".tar.xz"), "x:xz") as packed:
            packed.add(drive, drive.name)
        name.with_suffix(".json").write_text(json.dumps(content(drive), indent=1) + "\n")


if __name__ == "__main__":
    main()
