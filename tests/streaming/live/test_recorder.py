"""One live camera's recorder: what it stores, when that can be read, and what happens when the disk refuses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roadmask.engines.errors import StoreError
from roadmask.evaluation.speed.scripted import find_corner
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.recorder import LiveRecorder, RecorderAnswer
from roadmask.streaming.live.retention import Retention
from roadmask.streaming.live.store_sink import LiveStoreSink
from roadmask.streaming.pipeline import TrackStage
from roadmask.streaming.recording.recorder import build_tracker
from roadmask.streaming.sinks.sink import BaseSink, TrackedFrame
from roadmask.streaming.store import MaskStore, check_drive, open_drive

CLASSES = {3: "car"}
WALL = 1_700_000_000_000_000_000


def made(out: Path) -> MaskStore:
    return MaskStore.create(out, class_names=CLASSES, engine={}, sources={}, config={})


def recorder(out: Path, *, floor_bytes: int = 0) -> LiveRecorder:
    return recording(LiveStoreSink(out, floor_bytes=floor_bytes))


def recording(sink: LiveStoreSink) -> LiveRecorder:
    return LiveRecorder("front", TrackStage(build_tracker(RunConfig())), CLASSES, sink)


def shot(index: int, *, epoch: int = 0, size: tuple[int, int] = (48, 96), at_s: float | None = None) -> Frame:
    at_ns = WALL + round((index / 10 if at_s is None else at_s) * 1e9)
    return Frame("front", epoch, index, at_ns, "unix", np.full((*size, 3), index % 256, np.uint8))


class Outcomes:
    """Pushes frames and remembers what became of them."""

    def __init__(self, live: LiveRecorder) -> None:
        self.live = live
        self.stored: list[int] = []
        self.watched: list[int] = []
        self.storing = True

    def push(self, *frames: Frame) -> None:
        for frame in frames:
            self._take(self.live.push(frame, find_corner(frame.image), Ledger()))

    def tick(self) -> None:
        self._take(self.live.tick(Ledger()))

    def finish(self) -> None:
        self._take(self.live.finish())

    def until(self, true: Callable[[], bool], timeout_s: float = 120.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, (self.stored, self.watched, self.detail)
            self.tick()
            time.sleep(0.02)

    def _take(self, answer: RecorderAnswer) -> None:
        self.stored += [each.frame_index for each in answer.outcomes if each.state == "stored"]
        self.watched += [each.frame_index for each in answer.outcomes if each.reason == "watched"]
        self.storing, self.detail = answer.storing, answer.store_detail


def test_what_is_stored_can_be_read_within_seconds(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        outcomes = Outcomes(recorder(out))
        outcomes.push(*(shot(index) for index in range(5)))
        outcomes.until(lambda: len(open_drive(out)["front"]) > 0)  # though no shard is full
        outcomes.finish()
        outcomes.live.close(Ledger(7, dropped={"stale": 2}))
    ledger = open_drive(out)["front"].ledger
    assert (ledger.captured, ledger.stored, ledger.dropped) == (7, 5, {"stale": 2})
    assert (outcomes.stored, outcomes.watched) == ([0, 1, 2, 3, 4], [])
    assert check_drive(out).ok


def test_an_epoch_of_the_camera_is_one_of_the_store(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        outcomes = Outcomes(recorder(out))
        outcomes.push(shot(0), shot(1), shot(2, size=(24, 48), epoch=1), shot(3, size=(24, 48), epoch=1))
        outcomes.push(shot(4, epoch=3, at_s=0.1), shot(5, epoch=3, at_s=0.2))  # of epoch 2 no frame was taken
        outcomes.finish()
        outcomes.live.close(Ledger(6))
    front = open_drive(out)["front"]
    assert [len(epoch) for epoch in front.epochs] == [2, 2, 2]
    assert [epoch.info.info["epoch"] for epoch in front.epochs] == [0, 1, 3]
    assert check_drive(out).ok


def test_a_recorder_that_dies_loses_at_most_what_is_not_committed(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        pid = os.fork()
        if not pid:  # a process of its own, which holds the lock until it dies
            code = 1
            try:
                outcomes = Outcomes(recorder(out))
                outcomes.push(*(shot(index) for index in range(5)))
                outcomes.until(lambda: len(open_drive(out)["front"]) == 5)
                outcomes.push(*(shot(index) for index in range(5, 8)))
                code = 0
            finally:
                os._exit(code)  # whatever happens: or it would go on with the tests
        assert os.waitpid(pid, 0)[1] == 0
        live = recorder(out)
        assert live.committed == 5
        outcomes = Outcomes(live)
        outcomes.push(*(shot(index) for index in range(8, 12)))
        outcomes.finish()
        live.close(Ledger(12, failed={"writer_died": 3}))
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
        outcomes = Outcomes(recorder(out, floor_bytes=8_000_000))
        outcomes.push(shot(0), shot(1))
        outcomes.until(lambda: len(outcomes.stored) == 2)
        ballast = fill(small_disk, 4_000_000)
        outcomes.until(lambda: not outcomes.storing)
        assert "MB of disk are free, storing needs 8: make room" in outcomes.detail
        assert len(open_drive(out)["front"]) == 2  # what was stored is safe
        outcomes.push(shot(2), shot(3))
        outcomes.until(lambda: outcomes.watched == [2, 3])
        ballast.unlink()
        outcomes.until(lambda: outcomes.storing)
        outcomes.push(shot(4), shot(5))
        outcomes.finish()
        outcomes.live.close(Ledger(6, dropped={"watched": 2}))
    assert outcomes.stored == [0, 1, 4, 5]
    assert check_drive(out).ok


def test_a_disk_that_is_full_to_the_brim_costs_nothing_that_was_stored(small_disk: Path) -> None:
    out = small_disk / "drive.zarr"
    with made(out):
        outcomes = Outcomes(recorder(out))
        outcomes.push(*(shot(index) for index in range(3)))
        outcomes.until(lambda: len(open_drive(out)["front"]) == 3)
        ballast = fill(small_disk, 0)
        outcomes.push(*(shot(index) for index in range(3, 6)))
        outcomes.until(lambda: not outcomes.storing)
        assert "No space left" in outcomes.detail
        outcomes.push(shot(6))
        outcomes.until(lambda: 6 in outcomes.watched)
        assert len(open_drive(out)["front"]) == 3
        ballast.unlink()
        outcomes.until(lambda: outcomes.storing)
        outcomes.push(shot(7))
        outcomes.finish()
        watched = len(outcomes.watched)
        outcomes.live.close(Ledger(8, dropped={"watched": watched}))
    front = open_drive(out)["front"]
    assert sorted(outcomes.stored + outcomes.watched) == list(range(8))
    assert [int(index) for index in front.epochs[0].frame_index] == outcomes.stored
    assert check_drive(out).ok


@pytest.mark.parametrize("retention", [Retention(seconds=0.4), Retention(size_bytes=40_000)])
def test_only_the_newest_part_is_kept_and_what_is_left_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: Retention
) -> None:
    monkeypatch.setattr("roadmask.streaming.live.retention.SEGMENT_MIN_S", 0.2)
    monkeypatch.setattr("roadmask.streaming.live.retention._LOOK_S", 0.1)
    monkeypatch.setattr("roadmask.streaming.live.store_worker._LOOK_S", 0.1)
    monkeypatch.setattr("roadmask.streaming.live.store_worker.COMMIT_S", 0.1)
    out = tmp_path / "drive.zarr"
    with made(out):
        outcomes = Outcomes(recording(LiveStoreSink(out, floor_bytes=0, retention=retention)))
        index = 0

        def removed() -> bool:
            nonlocal index
            outcomes.push(shot(index))
            index += 1
            time.sleep(0.03)
            drive = open_drive(out)
            return drive["front"].removed > 0

        outcomes.until(removed)
        outcomes.finish()
        outcomes.live.close(Ledger(index))
    front = open_drive(out)["front"]
    assert outcomes.stored == list(range(index))
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
    with made(out):
        sink = LiveStoreSink(out, floor_bytes=0)
        outcomes = Outcomes(recording(sink))
        outcomes.push(shot(0), shot(1), shot(2, epoch=1), shot(3, epoch=1))
        outcomes.finish()
        with monkeypatch.context() as broken:

            def full(_: object) -> None:
                raise StoreError("the disk is full")

            broken.setattr(sink.writer, "_write_attributes", full)
            with pytest.raises(StoreError, match="full"):
                sink.writer.remove_epochs([0])
        assert (out / "front" / "0").exists()
        sink.writer.remove_epochs([0])
        outcomes.live.close(Ledger(4))
        assert not (out / "front" / "0").exists()
    assert open_drive(out)["front"].removed == 2
    assert check_drive(out).ok


def test_a_resumed_camera_knows_what_was_removed(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        sink = LiveStoreSink(out, floor_bytes=0)
        outcomes = Outcomes(recording(sink))
        outcomes.push(shot(0), shot(1), shot(2, epoch=1), shot(3, epoch=1))
        outcomes.finish()
        sink.writer.remove_epochs([0])
        sink.writer.suspend()
        assert not (out / "front" / "0").exists()
        live = recorder(out)
        assert live.committed == 4
        outcomes = Outcomes(live)
        outcomes.push(shot(4, epoch=1))
        outcomes.finish()
        live.close(Ledger(5))
    front = open_drive(out)["front"]
    assert (front.removed, len(front), front.ledger.stored) == (2, 3, 5)
    assert check_drive(out).ok


class NotedSink(BaseSink):
    """Remembers its calls; fails on one frame."""

    def __init__(self, fails_on: int | None = None) -> None:
        self.calls: list[str] = []
        self.images: list[int] = []
        self._fails_on = fails_on

    def write(self, tracked: TrackedFrame) -> None:
        self.calls.append(f"write {tracked.frame.frame_index}")
        self.images.append(int(tracked.frame.image.max()))
        if tracked.frame.frame_index == self._fails_on:
            raise StoreError("the other side is gone")

    def commit(self) -> None:
        self.calls.append("commit")

    def close(self, captured: int | None) -> None:
        self.calls.append(f"close {captured}")

    def abort(self) -> None:
        self.calls.append("abort")


def test_further_sinks_get_every_frame_and_one_that_fails_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadmask.streaming.live.recorder.COMMIT_S", 0.0)
    out = tmp_path / "drive.zarr"
    good, seeing, bad = NotedSink(), NotedSink(), NotedSink(fails_on=1)
    seeing.needs_image = True
    with made(out):
        store = LiveStoreSink(out, floor_bytes=0)
        track = TrackStage(build_tracker(RunConfig()))
        outcomes = Outcomes(LiveRecorder("front", track, CLASSES, store, [good, bad, seeing]))
        outcomes.live._commit_at = 0.0
        outcomes.push(shot(0))
        outcomes.tick()
        outcomes.push(shot(1), shot(2))
        outcomes.finish()
        outcomes.live.close(Ledger(3))
    assert good.calls == seeing.calls == ["write 0", "commit", "write 1", "write 2", "close 3"]
    assert bad.calls == ["write 0", "commit", "write 1", "abort"]
    assert (good.images, seeing.images) == ([0, 0, 0], [0, 1, 2])
    assert len(open_drive(out)["front"]) == 3


def test_a_store_that_refuses_frames_while_the_disk_is_fine_says_so_in_the_end(tmp_path: Path) -> None:
    out = tmp_path / "drive.zarr"
    with made(out):
        outcomes = Outcomes(recorder(out))
        outcomes.push(shot(0), shot(1), shot(2), shot(1, at_s=0.3))  # no source may number frames like this
        outcomes.until(lambda: not outcomes.storing)
        outcomes.finish()
        with pytest.raises(StoreError, match=r"refused 1 frames? though the disk took them.*above 2, got 1"):
            outcomes.live.close(Ledger(4, dropped={"watched": 1}))
        outcomes.live.abort()
    assert (outcomes.stored, outcomes.watched) == ([0, 1, 2], [1])
    front = open_drive(out)["front"]
    assert (len(front), front.complete, front.ledger.dropped) == (3, True, {"watched": 1})
    assert check_drive(out).ok
