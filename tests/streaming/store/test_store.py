"""What is written comes back, in whatever pieces it was committed, and nothing else does."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from roadmask.engines import RleMasks
from roadmask.engines.errors import (
    InputError,
    LedgerError,
    StoreError,
)
from roadmask.streaming import store as public
from roadmask.streaming.store import CameraWriter, StoreConfig, check_drive, open_drive
from roadmask.streaming.store.epoch_reader import EpochReader
from roadmask.streaming.store.layout import ARRAYS, RLE_CHUNK
from roadmask.tracking import Tracks
from support.compare_stores import differing_files
from support.stores import FRAME_NS, SMALL, create, record, street, tracks_of

SIZE = (24, 40)


def assert_frame_is(frame: public.StoredFrame, tracks: Tracks) -> None:
    assert tracks.instances.masks is not None
    assert frame.instances.masks is not None
    assert frame.instances.masks.to_rle().counts == tracks.instances.masks.to_rle().counts
    assert frame.instances.image_size == tracks.instances.image_size
    for name in ("boxes", "scores", "category_ids"):
        stored, given = getattr(frame.instances, name), getattr(tracks.instances, name)
        np.testing.assert_array_equal(stored, given, strict=True)
    np.testing.assert_array_equal(frame.track_ids, tracks.track_ids, strict=True)
    np.testing.assert_array_equal(frame.states, tracks.states, strict=True)


@pytest.mark.parametrize("frames", [0, 1, 7, 8, 9, 30])
def test_frames_come_back(tmp_path: Path, frames: int) -> None:
    drive = street(frames)
    camera = open_drive(record(tmp_path / "drive.zarr", drive))["front"]
    assert len(camera) == frames
    for position, tracks in enumerate(drive):
        frame = camera.frame(position)
        assert_frame_is(frame, tracks)
        assert (frame.position, frame.frame_index, frame.timestamp_ns, frame.epoch) == (
            position,
            position,
            position * FRAME_NS,
            0,
        )
        ids = set(np.unique(camera.id_map(position)).tolist()) - {0}
        assert ids == set(tracks.track_ids.tolist())
    assert camera.complete
    assert camera.ledger.captured == camera.ledger.stored == frames
    assert check_drive(tmp_path / "drive.zarr").ok


def test_opens_with_zarr_alone(tmp_path: Path) -> None:
    record(tmp_path / "drive.zarr", street(12))
    epoch = zarr.open_group(tmp_path / "drive.zarr", mode="r")["front/0"]
    labels = epoch["id_map"][8]
    first, last = epoch["instances/offsets"][8:10]
    ids = epoch["instances/track_id"][first:last]
    assert labels.shape == SIZE
    assert sorted(ids.tolist()) == [1, 2] == sorted(set(np.unique(labels).tolist()) - {0})
    assert epoch["id_map"].shape == (12, *SIZE)


def test_layout_is_the_documented_one(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(12))
    root = zarr.open_group(path, mode="r")
    assert root.attrs["schema_version"] == 2
    assert root.attrs["class_names"] == {"1": "pedestrian", "3": "car"}
    total = sum(len(tracks) for tracks in street(12))
    assert root["front"].attrs["committed"]["0"].items() >= {"frames": 12, "instances": total}.items()
    assert root["front/ledger"].attrs["stored"] == 12
    assert root["front/0"].attrs["image_size"] == list(SIZE)
    for name, spec in ARRAYS.items():
        array = root[f"front/0/{name}"]
        assert array.dtype == spec.dtype
        assert array.metadata.zarr_format == 3
    assert root["front/0/id_map"].shards == (8, *SIZE)
    assert root["front/0/id_map"].chunks == (1, *SIZE)
    assert not list(path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("commit_every", [1, 3])
def test_equal_runs_give_equal_bytes_however_they_are_committed(tmp_path: Path, commit_every: int) -> None:
    one = record(tmp_path / "one.zarr", street(21), command="run one")
    again = record(tmp_path / "again.zarr", street(21), command="run again")
    in_pieces = record(tmp_path / "pieces.zarr", street(21), commit_every=commit_every)
    assert differing_files(one, again) == []
    assert differing_files(one, in_pieces) == []
    assert (one / "provenance.jsonl").read_text() != (again / "provenance.jsonl").read_text()


def test_cameras_are_independent_and_so_are_epochs(tmp_path: Path) -> None:
    small, large = street(5), street(4, (30, 60))
    with create(tmp_path / "drive.zarr") as store:
        rear, front = CameraWriter(store.path, "rear", SMALL), CameraWriter(store.path, "front", SMALL)
        front.start_epoch(0, SIZE, "media")
        rear.start_epoch(0, SIZE, "unix")
        for n, tracks in enumerate(small):
            front.append(n, n, tracks)
            rear.append(n, 10**18 + n, tracks)
        front.count_lost("dropped", "engine behind")
        front.count_lost("failed", "decode")
        front.start_epoch(2, (30, 60), "monotonic", {"rotation": 90})
        for n, tracks in enumerate(large):
            front.append(7 + n, n, tracks)  # another clock: time may start again
        front.close(captured=11)
        rear.close()
    drive = open_drive(tmp_path / "drive.zarr")
    assert list(drive) == ["front", "rear"]
    front_read = drive["front"]
    assert [len(epoch) for epoch in front_read.epochs] == [5, 4]
    assert front_read.epochs[1].info == public.EpochInfo(2, (30, 60), "monotonic", {"rotation": 90})
    assert front_read.ledger.to_dict() == {
        "captured": 11,
        "stored": 9,
        "dropped": {"engine behind": 1},
        "failed": {"decode": 1},
    }
    for position, tracks in enumerate([*small, *large]):
        assert_frame_is(front_read.frame(position), tracks)
        assert front_read.id_map(position).shape == tracks.instances.image_size
    assert front_read.position_of(7) == 5
    with pytest.raises(InputError, match="frame_index 6"):
        front_read.position_of(6)
    assert [sighting.epoch for sighting in front_read.track(1)] == [0] * 4 + [2] * 4
    assert check_drive(tmp_path / "drive.zarr").ok


def test_track_gathers_its_frames(tmp_path: Path) -> None:
    drive = street(30)
    camera = open_drive(record(tmp_path / "drive.zarr", drive))["front"]
    track = camera.track(2)
    assert [sighting.frame_index for sighting in track] == [3, 5, 6, 7, 8]
    assert (track.class_name, track.category_id, len(track)) == ("pedestrian", 1, 5)
    for sighting in track:
        of_frame = drive[sighting.position]
        at = of_frame.track_ids.tolist().index(2)
        assert of_frame.instances.masks is not None
        assert sighting.mask.counts == of_frame.instances.masks.to_rle().counts[at : at + 1]
        assert sighting.box.tolist() == of_frame.instances.boxes[at].tolist()
        assert sighting.timestamp_ns == sighting.frame_index * FRAME_NS
    summary = {line.track_id: line for line in camera.tracks()}
    assert sorted(summary) == [1, 2]
    assert (summary[2].frames, summary[2].first_position, summary[2].last_timestamp_ns) == (5, 3, 8 * FRAME_NS)
    for unknown in (0, 3, -1):
        with pytest.raises(InputError, match="no track"):
            camera.track(unknown)


def test_track_does_not_read_the_masks_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (64, 64)
    noise = RleMasks.from_dense(np.random.default_rng(0).random((1, *size)) < 0.5, size)  # about 2 KiB of runs
    boxes = [(0, 0, 64, 64)]
    drive = [tracks_of(size, boxes, [2 if t in (5, 30) else 1], masks=noise) for t in range(40)]
    camera = open_drive(record(tmp_path / "drive.zarr", drive))["front"]
    total = camera.epochs[0].extent.rle_bytes
    assert total > 10 * RLE_CHUNK
    read = EpochReader.read
    asked: list[int] = []

    def counting(self: EpochReader, name: str, start: int = 0, stop: int | None = None) -> Any:
        rows = read(self, name, start, stop)
        if name == "instances/rle":
            asked.append(len(rows))
        return rows

    monkeypatch.setattr(EpochReader, "read", counting)
    assert [sighting.mask.counts for sighting in camera.track(2)] == [noise.counts] * 2
    assert asked == [len(noise.counts[0])] * 2


def test_higher_score_wins_overlaps_then_lower_id_and_no_track_is_not_painted(tmp_path: Path) -> None:
    boxes = [(0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (0, 0, 40, 24)]
    drive = [tracks_of(SIZE, boxes, [7, 4, 9, 0], scores=[0.5, 0.5, 0.6, 0.99])]
    camera = open_drive(record(tmp_path / "drive.zarr", drive))["front"]
    assert camera.id_map(0)[0, :21].tolist() == [7] * 5 + [4] * 5 + [9] * 10 + [0]
    assert_frame_is(camera.frame(0), drive[0])


def test_ledger_that_does_not_add_up_fails_after_everything_is_committed(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        writer.start_epoch(0, SIZE, "media")
        for n, tracks in enumerate(street(3)):
            writer.append(n, n, tracks)
        with pytest.raises(LedgerError, match=r"'front'.*expected 4 captured.*3 stored"):
            writer.close(captured=4)
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) == 3
    report = check_drive(tmp_path / "drive.zarr")
    assert [problem.path for problem in report.problems] == [Path("front/ledger/zarr.json")]


def test_passwords_do_not_reach_the_store(tmp_path: Path) -> None:
    path = record(
        tmp_path / "drive.zarr",
        street(1),
        sources={"front": {"url": "rtsp://user:secret@10.0.0.1/stream"}},
        command="roadmask run rtsp://user:secret@10.0.0.1/stream",
    )
    assert all(b"secret" not in file.read_bytes() for file in path.rglob("*") if file.is_file())
    assert open_drive(path).attributes["sources"]["front"]["url"] == "rtsp://10.0.0.1/stream"


def test_provenance_tells_what_happened(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(1), command="roadmask run a.mp4")
    lines = [json.loads(line) for line in (path / "provenance.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["created", "closed"]
    assert lines[0]["command"] == "roadmask run a.mp4"
    assert lines[0].keys() >= {"pid", "host", "since", "roadmask"}


def test_arguments_of_a_camera_writer_can_be_pickled(tmp_path: Path) -> None:
    with create(tmp_path / "drive.zarr") as store:
        arguments = pickle.loads(pickle.dumps((store.path, "front", SMALL)))  # noqa: S301 - made on this line
        writer = CameraWriter(*arguments)
        writer.start_epoch(0, SIZE, "media")
        writer.append(0, 0, street(1)[0])
        assert writer.close(captured=1).stored == 1
    assert len(open_drive(tmp_path / "drive.zarr")["front"]) == 1


# What cannot be written


@pytest.mark.parametrize(
    ("size", "frames"), [((540, 960), 64), ((1080, 1920), 30), ((2160, 3840), 8), ((120, 160), 64), ((375, 1242), 64)]
)
def test_shards_hold_as_many_frames_as_fit(size: tuple[int, int], frames: int) -> None:
    assert StoreConfig().shard_frames(size) == frames


# What cannot be read


def test_missing_and_foreign_paths(tmp_path: Path) -> None:
    (tmp_path / "text.zarr").write_text("no store")
    (tmp_path / "folder").mkdir()
    zarr.create_group(tmp_path / "foreign.zarr")
    for name, words in [
        ("nothing", "found nothing"),
        ("text.zarr", "found no zarr.json"),
        ("folder", "found no zarr.json"),
        ("foreign.zarr", "has no schema_version"),
    ]:
        for read in (open_drive, check_drive):
            with pytest.raises(StoreError, match=words):
                read(tmp_path / name)


def test_unknown_camera_and_position(tmp_path: Path) -> None:
    drive = open_drive(record(tmp_path / "drive.zarr", street(2)))
    with pytest.raises(KeyError, match="it has front"):
        drive["rear"]
    for position in (-3, 2):
        with pytest.raises(InputError, match="from -2 to 1"):
            drive["front"].frame(position)


def test_importing_the_store_does_not_import_zarr() -> None:
    code = """
import sys
import roadmask.streaming.ledger
from roadmask.streaming.store import EpochInfo, StoreConfig
sys.exit("zarr" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_exist_and_are_sorted() -> None:
    assert public.__all__ == sorted(public.__all__) == dir(public)
    assert all(getattr(public, name) for name in public.__all__)


# Real tracks


def test_kitti_mots_comes_back_byte_for_byte(tmp_path: Path, data_dir: Path) -> None:
    frames: dict[int, list[tuple[int, int, bytes]]] = {}
    for line in (data_dir / "kitti_mots_gt" / "0014.txt").read_text().splitlines()[:250]:
        frame, track_id, kind, height, width, counts = line.split()
        size = (int(height), int(width))
        if kind in ("1", "2"):
            frames.setdefault(int(frame), []).append((int(track_id), {"1": 3, "2": 1}[kind], counts.encode()))
    drive = []
    for t in range(max(frames) + 1):
        seen = frames.get(t, [])
        masks = RleMasks(tuple(counts for *_, counts in seen), size)
        boxes = [(0, 0, size[1], size[0])] * len(seen)
        drive.append(
            tracks_of(size, boxes, [i for i, *_ in seen], category_ids=[label for _, label, _ in seen], masks=masks)
        )
    path = record(tmp_path / "drive.zarr", drive, store_config=StoreConfig())
    camera = open_drive(path)["front"]
    for position, tracks in enumerate(drive):
        assert_frame_is(camera.frame(position), tracks)
        expected = np.zeros(size, np.uint32)
        assert isinstance(tracks.instances.masks, RleMasks)
        for track_id, mask in zip(tracks.track_ids, tracks.instances.masks.dense(), strict=True):
            expected[mask] = track_id  # ground truth does not overlap
        np.testing.assert_array_equal(camera.id_map(position), expected)
    assert check_drive(path).ok
