"""Every kind of damage is found, named by its file, and never a crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from roadmask.engines.errors import StoreCorruptError
from roadmask.streaming.store import CheckReport, check_drive, check_report, open_drive
from roadmask.streaming.store.layout import METADATA
from support.stores import record, street

SIZE = (24, 40)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("sound") / "drive.zarr", street(20))


@pytest.fixture
def drive(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "drive.zarr"))


def data_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("c.*") if file.is_file())


def chunk(name: str) -> Path:
    return Path("front/0") / name


def edit(path: Path, name: str, rows: Any, values: Any) -> None:
    """Changes stored rows the way a writer with a bug would: with right checksums."""
    array = zarr.open_array(path / "front" / "0" / name, mode="r+", config={"write_empty_chunks": True})
    array[rows] = values


def broken_paths(report: CheckReport) -> set[Path]:
    return {problem.path for problem in report.problems if problem.path is not None}


def test_sound_store_is_counted(sound: Path) -> None:
    report = check_drive(sound)
    assert report.ok
    assert (report.cameras, report.frames, report.instances) == (1, 20, sum(map(len, street(20))))
    assert report.first_broken_file is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove", "replace"])
def test_damaged_data_file_is_named(sound: Path, tmp_path: Path, damage: str) -> None:
    random = np.random.default_rng(7)
    files = data_files(sound)
    assert len(files) == 12 + 3  # one for each small array, three shards of labels
    for file in files:
        relative = file.relative_to(sound)
        copy = Path(shutil.copytree(sound, tmp_path / "drive.zarr"))
        broken = copy / relative
        data = bytearray(broken.read_bytes())
        if damage == "flip":
            data[random.integers(len(data))] ^= 1 << random.integers(8)
        damaged = {
            "flip": bytes(data),
            "truncate": bytes(data[: len(data) // 2]),
            "empty": b"",
            "replace": random.bytes(len(data)),
        }
        if damage == "remove":
            broken.unlink()
        else:
            broken.write_bytes(damaged[damage])
        report = check_drive(copy)
        assert not report.ok, relative
        assert report.first_broken_file == relative, report.problems
        assert all(problem.camera == "front" for problem in report.problems)
        shutil.rmtree(copy)


@pytest.mark.parametrize("damage", ["remove", "empty"])
def test_reader_refuses_what_zarr_reads_as_zeros(drive: Path, damage: str) -> None:
    file = drive / "front/0/id_map/c.1.0.0"
    file.unlink() if damage == "remove" else file.write_bytes(b"")
    camera = open_drive(drive)["front"]
    assert camera.id_map(7).any()
    with pytest.raises(StoreCorruptError, match=f"{file.name} is (missing|empty): restore it"):
        camera.id_map(8)


def test_problem_reads_as_a_sentence(drive: Path) -> None:
    (drive / "front/0/id_map/c.1.0.0").write_bytes(b"short")
    edit(drive, "id_map", (0, 0, 0), 5)
    lines = [str(problem) for problem in check_drive(drive).problems]
    assert lines[0] == "front epoch 0 frame 0 [front/0/id_map/c.0.0.0]: the id map differs from the masks in 1 pixels."
    assert lines[1].startswith("front epoch 0 [front/0/id_map/c.1.0.0]: cannot be read back: ")


def test_every_byte_of_a_shard_counts(drive: Path) -> None:
    """Flips each byte of one file in turn: none is left unguarded by a checksum."""
    file = drive / "front/0/instances/score/c.0"
    data = file.read_bytes()
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        assert check_drive(drive).first_broken_file == Path("front/0/instances/score/c.0"), at


@pytest.mark.parametrize(
    ("name", "rows", "values", "words"),
    [
        ("frames/frame_index", 4, 3, "frame index above"),
        ("frames/frame_index", 19, 99, "below 20 captured frames"),
        ("frames/timestamp_ns", 4, 0, "a time after"),
        ("frames/state", 4, 0, "a stored frame"),
        ("instances/offsets", 0, 1, "rise from 0"),
        ("instances/offsets", 3, 9, "rise from 0"),
        ("instances/offsets", 20, 5, "rise from 0"),
        ("instances/rle_offsets", 2, 10**6, "rise from 0"),
        ("instances/rle_offsets", 2, -1, "rise from 0"),
        ("instances/box", (3, 0), np.nan, "x1 <= x2"),
        ("instances/box", (3, 2), -5, "x1 <= x2"),
        ("instances/score", 3, np.inf, "finite score"),
        ("instances/category_id", 3, 90, "category id among class_names"),
        ("instances/state", 3, 2, "tentative or confirmed"),
        ("instances/track_id", 3, -1, "from 0 to 2^32 - 1"),
        ("instances/area", 3, 1, "area of 120 pixels"),
    ],
)
def test_contradiction_is_named(drive: Path, name: str, rows: Any, values: Any, words: str) -> None:
    edit(drive, name, rows, values)
    report = check_drive(drive)
    first = report.problems[0]
    assert words in first.what
    assert first.path is not None
    assert first.path.parent == chunk(name)
    assert (first.camera, first.epoch) == ("front", 0)


def test_labels_that_differ_from_masks_name_frame_and_shard(drive: Path) -> None:
    edit(drive, "id_map", (10, 0, 0), 5)
    report = check_drive(drive)
    assert [(problem.frame, problem.path) for problem in report.problems] == [(10, chunk("id_map/c.1.0.0"))]
    assert "1 pixels" in report.problems[0].what


def test_shards_that_changed_places_are_noticed(drive: Path) -> None:
    labels = drive / "front/0/id_map"
    (labels / "c.0.0.0").rename(labels / "spare")
    (labels / "c.1.0.0").rename(labels / "c.0.0.0")
    (labels / "spare").rename(labels / "c.1.0.0")
    assert {chunk("id_map/c.0.0.0"), chunk("id_map/c.1.0.0")} <= broken_paths(check_drive(drive))


def test_id_twice_in_a_frame_is_named(drive: Path) -> None:
    offsets = zarr.open_array(drive / "front/0/instances/offsets", mode="r")[:]
    frame = int(np.flatnonzero(np.diff(offsets) == 2)[0])
    edit(drive, "instances/track_id", slice(int(offsets[frame]), int(offsets[frame + 1])), 1)
    report = check_drive(drive)
    assert "at most once in a frame" in report.problems[0].what
    assert report.problems[0].frame == frame


def test_run_lengths_of_another_image_are_named(drive: Path) -> None:
    edit(drive, "instances/rle", slice(0, 3), np.frombuffer(b"111", np.uint8))
    first = check_drive(drive).problems[0]
    assert (first.frame, first.path) == (0, chunk("instances/rle/c.0"))
    assert "run lengths" in first.what


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"zarr_format": 3, "node_type": "group", "attributes": {}}'])
def test_damaged_metadata_is_named(sound: Path, tmp_path: Path, text: str) -> None:
    metadata = sorted(file.relative_to(sound) for file in sound.rglob(METADATA))
    checked = 0
    for relative in metadata:
        if relative.parent.name in ("frames", "instances") or (relative == Path(METADATA) and "node_type" in text):
            continue  # groups without a meaning of their own; a foreign root is a StoreError
        copy = Path(shutil.copytree(sound, tmp_path / "drive.zarr"))
        (copy / relative).write_text(text)
        report = check_drive(copy)
        assert not report.ok, relative
        assert relative in broken_paths(report) or relative.parts[:1] == report.first_broken_file.parts[:1], relative  # type: ignore[union-attr]
        checked += 1
        shutil.rmtree(copy)
    assert checked >= 15


def test_flipped_bits_in_metadata_never_crash(sound: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    metadata = sorted(file.relative_to(sound) for file in sound.rglob(METADATA) if file.parent != sound)
    copy = Path(shutil.copytree(sound, tmp_path / "drive.zarr"))
    for _ in range(60):
        file = copy / metadata[random.integers(len(metadata))]
        data = file.read_bytes()
        at = int(random.integers(len(data)))
        file.write_bytes(data[:at] + bytes([data[at] ^ (1 << int(random.integers(8)))]) + data[at + 1 :])
        check_drive(copy)  # a flip in a name or a fill value may be harmless
        file.write_bytes(data)
    assert check_drive(copy).ok


def test_camera_without_its_metadata_is_noticed(drive: Path) -> None:
    (drive / "front" / METADATA).unlink()
    assert check_drive(drive).first_broken_file == Path("front", METADATA)


def test_frames_that_the_ledger_does_not_know_are_noticed(drive: Path) -> None:
    path = drive / "front" / METADATA
    metadata = json.loads(path.read_text())
    metadata["attributes"]["committed"]["0"] = {"frames": 0, "instances": 0, "rle_bytes": 0}
    path.write_text(json.dumps(metadata))
    assert "expected 20 stored frames" in check_drive(drive).problems[0].what


def test_half_written_files_are_mentioned_but_no_problem(drive: Path) -> None:
    (drive / "front/0/id_map/c.3.0.0.partial").write_bytes(b"half")
    (drive / "rear").mkdir()
    (drive / "rear" / "zarr.json.partial").write_bytes(b"{")
    report = check_drive(drive)
    assert report.ok
    assert any("2 half-written" in note for note in report.notes)


def test_list_of_problems_is_bounded(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_report, "MAX_PROBLEMS", 3)
    edit(drive, "id_map", slice(None), 9)
    report = check_drive(drive)
    assert (len(report.problems), report.suppressed) == (3, 17)


def test_a_camera_that_vanished_from_a_finished_store_is_missed(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(20), sources={"front": {}, "rear": {}})
    report = check_drive(path)
    assert not report.ok
    assert broken_paths(report) == {Path("rear")}


def test_a_ledger_that_vanished_from_a_finished_store_is_missed(drive: Path) -> None:
    shutil.rmtree(drive / "front" / "ledger")
    assert Path("front", "ledger", METADATA) in broken_paths(check_drive(drive))
