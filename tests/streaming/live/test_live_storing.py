"""One live camera's recorder: what it stores, when that can be read, and what happens when the disk refuses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines.errors import InputError, StoreError
from roadmask.evaluation.speed.scripted import find_corner
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.live.image import ImageMaker
from roadmask.streaming.live.keep import Keep
from roadmask.streaming.live.recorder import LiveRecorder, Losses
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.recording.recorder import build_tracker
from roadmask.streaming.store import CameraWriter, MaskStore, check_drive, open_drive

CLASSES = {3: "car"}
WALL = 1_700_000_000_000_000_000


def made(out: Path) -> MaskStore:
    return MaskStore.create(out, class_names=CLASSES, engine={}, sources={}, config={})


def recorder(out: Path, *, floor_bytes: int = 0, resume: bool = False) -> LiveRecorder:
    writer = CameraWriter(out, "front", resume=resume)
    return LiveRecorder(writer, TrackStage(build_tracker(RunConfig())), CLASSES, floor_bytes=floor_bytes)


def shot(index: int, *, epoch: int = 0, size: tuple[int, int] = (48, 96), at_s: float | None = None) -> Frame:
    at_ns = WALL + round((index / 10 if at_s is None else at_s) * 1e9)
    return Frame("front", epoch, index, at_ns, "unix", np.full((*size, 3), index % 256, np.uint8))


class Fates:
    """Pushes frames and remembers what became of them."""

    def __init__(self, live: LiveRecorder) -> None:
        self.live = live
        self.stored: list[int] = []
        self.watched: list[int] = []
        self.storing = True

    def push(self, *frames: Frame) -> None:
        for frame in frames:
            self._take(self.live.push(frame, find_corner(frame.image), Losses()))

    def tick(self) -> None:
        self._take(self.live.tick(Losses()))

    def finish(self) -> None:
        self._take(self.live.finish())

    def until(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, (self.stored, self.watched, self.detail)
            self.tick()
            time.sleep(0.02)

    def _take(self, outcome) -> None:  # type: ignore[no-untyped-def]
        self.stored += [index for index, _ in outcome.fates.stored]
        self.watched += outcome.fates.watched
        self.storing, self.detail = outcome.storing, outcome.store_detail


def test_what_is_stored_can_be_read_within_seconds(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        fates = Fates(recorder(out))
        fates.push(*(shot(index) for index in range(5)))
        fates.until(lambda: len(open_drive(out)["front"]) > 0)  # though no shard is full
        fates.finish()
        ledger = fates.live.close(7, Losses(dropped={"stale": 2}))
    assert ledger is not None
    assert (ledger.captured, ledger.stored, ledger.dropped) == (7, 5, {"stale": 2})
    assert (fates.stored, fates.watched) == ([0, 1, 2, 3, 4], [])
    assert check_drive(out).ok


def test_a_new_size_or_clock_or_a_time_that_goes_back_begins_an_epoch(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        fates = Fates(recorder(out))
        fates.push(shot(0), shot(1), shot(2, size=(24, 48), epoch=1), shot(3, size=(24, 48), epoch=1))
        fates.push(shot(4, size=(24, 48), epoch=2), shot(5, size=(24, 48), epoch=2, at_s=0.1))
        fates.finish()
        fates.live.close(6, Losses())
    front = open_drive(out)["front"]
    assert [len(epoch) for epoch in front.epochs] == [2, 2, 1, 1]
    assert [epoch.info.info["epoch"] for epoch in front.epochs] == [0, 1, 2, 2]
    assert check_drive(out).ok


def test_a_recorder_that_dies_loses_at_most_what_is_not_committed(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        pid = os.fork()
        if not pid:  # a process of its own, which holds the lock until it dies
            code = 1
            try:
                fates = Fates(recorder(out))
                fates.push(*(shot(index) for index in range(5)))
                fates.until(lambda: len(open_drive(out)["front"]) == 5)
                fates.push(*(shot(index) for index in range(5, 8)))
                code = 0
            finally:
                os._exit(code)  # whatever happens: or it would go on with the tests
        assert os.waitpid(pid, 0)[1] == 0
        live = recorder(out, resume=True)
        assert live.committed == 5
        fates = Fates(live)
        fates.push(*(shot(index) for index in range(8, 12)))
        fates.finish()
        live.close(12, Losses(failed={"writer_died": 3}))
    front = open_drive(out)["front"]
    assert [int(index) for index in front.epochs[0].frame_index] == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert [track.frames for track in front.tracks()] == [9]  # the track goes on
    assert check_drive(out).ok


def fill(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    usage = os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(usage.f_bavail * usage.f_frsize - leave, 0))
    return ballast


def test_below_the_floor_it_watches_and_above_it_stores_again(small_disk: Path) -> None:
    out = small_disk / "drive.zarr"
    with made(out):
        fates = Fates(recorder(out, floor_bytes=8_000_000))
        fates.push(shot(0), shot(1))
        fates.until(lambda: len(fates.stored) == 2)
        ballast = fill(small_disk, 4_000_000)
        fates.until(lambda: not fates.storing)
        assert "MB of disk are free, storing needs 8: make room" in fates.detail
        assert len(open_drive(out)["front"]) == 2  # what was stored is safe
        fates.push(shot(2), shot(3))
        fates.until(lambda: fates.watched == [2, 3])
        ballast.unlink()
        fates.until(lambda: fates.storing)
        fates.push(shot(4), shot(5))
        fates.finish()
        fates.live.close(6, Losses(dropped={"watched": 2}))
    assert fates.stored == [0, 1, 4, 5]
    assert check_drive(out).ok


def test_a_disk_that_is_full_to_the_brim_costs_nothing_that_was_stored(small_disk: Path) -> None:
    out = small_disk / "drive.zarr"
    with made(out):
        fates = Fates(recorder(out))
        fates.push(*(shot(index) for index in range(3)))
        fates.until(lambda: len(open_drive(out)["front"]) == 3)
        ballast = fill(small_disk, 0)
        fates.push(*(shot(index) for index in range(3, 6)))
        fates.until(lambda: not fates.storing)
        assert "No space left" in fates.detail
        fates.push(shot(6))
        fates.until(lambda: 6 in fates.watched)
        assert len(open_drive(out)["front"]) == 3
        ballast.unlink()
        fates.until(lambda: fates.storing)
        fates.push(shot(7))
        fates.finish()
        watched = len(fates.watched)
        fates.live.close(8, Losses(dropped={"watched": watched}))
    front = open_drive(out)["front"]
    assert sorted(fates.stored + fates.watched) == list(range(8))
    assert [int(index) for index in front.epochs[0].frame_index] == fates.stored
    assert check_drive(out).ok


def test_images_are_no_wider_than_asked_for_and_boxes_fit_them() -> None:
    maker = ImageMaker(CLASSES, width_max=320)
    track = TrackStage(build_tracker(RunConfig()))
    for index in range(5):
        frame = shot(index, size=(360, 640))
        shown = maker(frame, track(frame, find_corner(frame.image)))
    assert shown.size == (180, 320)
    (car,) = shown.instances
    assert car.box == pytest.approx((32, 108, 128, 162), abs=1)
    assert (car.label, car.track_id) == ("car", 1)


@pytest.mark.parametrize(
    ("text", "seconds", "size_bytes"),
    [("2h", 7200, None), ("30min", 1800, None), ("0.5d", 43200, None), ("50GB", None, 50 * 10**9)],
)
def test_what_to_keep(text: str, seconds: float | None, size_bytes: int | None) -> None:
    assert Keep.parse(text) == Keep(seconds, size_bytes)


@pytest.mark.parametrize("text", ["2", "h", "-1h", "0h", "2 weeks", "50 GB of disk"])
def test_refuses_to_keep_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(InputError, match="such as 30min, 2h"):
        Keep.parse(text)


@pytest.mark.parametrize("keep", [Keep(seconds=0.4), Keep(size_bytes=40_000)])
def test_only_the_newest_part_is_kept_and_what_is_left_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Keep
) -> None:
    monkeypatch.setattr("roadmask.streaming.live.keep.SEGMENT_MIN_S", 0.2)
    monkeypatch.setattr("roadmask.streaming.live.keep._LOOK_S", 0.1)
    monkeypatch.setattr("roadmask.streaming.live.storing._LOOK_S", 0.1)
    monkeypatch.setattr("roadmask.streaming.live.storing.COMMIT_S", 0.1)
    out = tmp_path / "drive.zarr"
    with made(out):
        writer = CameraWriter(out, "front")
        fates = Fates(LiveRecorder(writer, TrackStage(build_tracker(RunConfig())), CLASSES, floor_bytes=0, keep=keep))
        index = 0

        def removed() -> bool:
            nonlocal index
            fates.push(shot(index))
            index += 1
            time.sleep(0.03)
            drive = open_drive(out)
            return drive["front"].removed > 0

        fates.until(removed)
        fates.finish()
        fates.live.close(index, Losses())
    front = open_drive(out)["front"]
    assert fates.stored == list(range(index))
    assert front.ledger.stored == index == len(front) + front.removed
    assert 0 < len(front) < index
    kept = [int(number) for epoch in front.epochs for number in epoch.frame_index]
    assert kept == list(range(front.removed, index))
    assert [track.track_id for track in front.tracks()] == [1]  # over all cuts
    report = check_drive(out)
    assert report.ok, report.problems
    assert any("oldest frames were removed" in note for note in report.notes)


def test_what_cannot_be_removed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "drive.zarr"
    with made(out), CameraWriter(out, "front") as writer:
        live = LiveRecorder(writer, TrackStage(build_tracker(RunConfig())), CLASSES, floor_bytes=0)
        fates = Fates(live)
        fates.push(shot(0), shot(1), shot(2, epoch=1), shot(3, epoch=1))
        fates.finish()
        with monkeypatch.context() as broken:

            def full(_: object) -> None:
                raise StoreError("the disk is full")

            broken.setattr(writer, "_write_attributes", full)
            with pytest.raises(StoreError, match="full"):
                writer.remove_epochs([0])
        assert (out / "front" / "0").exists()
        writer.remove_epochs([0])
        assert not (out / "front" / "0").exists()
    assert open_drive(out)["front"].removed == 2
    assert check_drive(out).ok


def test_a_resumed_camera_knows_what_was_removed(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        writer = CameraWriter(out, "front")
        fates = Fates(LiveRecorder(writer, TrackStage(build_tracker(RunConfig())), CLASSES, floor_bytes=0))
        fates.push(shot(0), shot(1), shot(2, epoch=1), shot(3, epoch=1))
        fates.finish()
        writer.remove_epochs([0])
        writer.suspend()
        assert not (out / "front" / "0").exists()
        live = recorder(out, resume=True)
        assert live.committed == 4
        fates = Fates(live)
        fates.push(shot(4, epoch=1))
        fates.finish()
        live.close(5, Losses())
    front = open_drive(out)["front"]
    assert (front.removed, len(front), front.ledger.stored) == (2, 3, 5)
    assert check_drive(out).ok
