"""The contract of sinks, kept by those that are part of roadmask."""

from __future__ import annotations

from pathlib import Path

from roadmask import CAR, open_drive
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.sinks.sink import TrackedFrame
from roadmask.streaming.sinks.store import StoreSink
from roadmask.streaming.store import MaskStore
from roadmask.testing import SinkContract


class TestStore(SinkContract):
    def make(self, folder: Path) -> StoreSink:
        path = folder / "drive.zarr"
        MaskStore.create(path, class_names={CAR: "car"}, engine={}, sources={"front": {}}, config={}).close()
        return StoreSink(path)

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        camera = open_drive(folder / "drive.zarr")["front"]
        stored = [camera.frame(position) for position in range(len(camera))]
        assert [frame.frame_index for frame in stored] == [tracked.frame.frame_index for tracked in written]
        assert camera.ledger.failed == ({"decode": len(lost)} if lost else {})
        for frame, tracked in zip(stored, written, strict=True):
            assert frame.track_ids.tolist() == tracked.tracks.track_ids.tolist()
            assert frame.instances.boxes.tobytes() == tracked.tracks.instances.boxes.tobytes()
