"""The contract of sinks, kept by those that are part of roadmask."""

from __future__ import annotations

from pathlib import Path

import av

from roadmask import CAR, open_drive
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.live.jpeg_sink import JpegSink
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.live.store_sink import LiveStoreSink
from roadmask.streaming.sinks.bag import BagSink
from roadmask.streaming.sinks.overlay import OverlayVideo
from roadmask.streaming.sinks.sink import TrackedFrame
from roadmask.streaming.sinks.store import StoreSink
from roadmask.streaming.store import MaskStore
from roadmask.testing import SinkContract
from support.bags import read_instances


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


class TestLiveStore(TestStore):
    def make(self, folder: Path) -> LiveStoreSink:
        super().make(folder)
        return LiveStoreSink(folder / "drive.zarr")


class TestOverlay(SinkContract):
    def make(self, folder: Path) -> OverlayVideo:
        return OverlayVideo(folder / "overlay.mp4")

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        if written:
            with av.open(str(folder / "overlay.mp4")) as video:
                assert sum(1 for _ in video.decode(video=0)) == len(written)


class TestBag(SinkContract):
    def make(self, folder: Path) -> BagSink:
        return BagSink(folder / "tracks.mcap")

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        found = read_instances(folder / "tracks.mcap")
        assert [each.sequence for each in found] == [tracked.frame.frame_index for tracked in written]
        assert [each.stamp_ns for each in found] == [tracked.frame.timestamp_ns for tracked in written]
        if found:
            assert (found[-1].stored, found[-1].captured) == (len(written), len(written) + len(lost))
        for each, tracked in zip(found, written, strict=True):
            assert [one.track_id for one in each.instances] == tracked.tracks.track_ids.tolist()


class TestJpeg(SinkContract):
    def make(self, folder: Path) -> JpegSink:
        self.published: list[LiveImage] = []
        return JpegSink(self.published.append)

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        assert [image.frame_index for image in self.published] == [tracked.frame.frame_index for tracked in written]
