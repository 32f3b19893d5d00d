"""What the store refuses, and what stays whole when it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roadmask.engines import Instances, RleMasks
from roadmask.engines.errors import (
    ConfigError,
    InputError,
    InstancesError,
    StoreError,
    StoreExistsError,
)
from roadmask.streaming.store import CameraWriter, StoreConfig, check_drive
from roadmask.tracking import Tracks
from support.stores import SMALL, create, record, street, tracks_of

SIZE = (24, 40)


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_refuses_to_overwrite(tmp_path: Path, what: str) -> None:
    path = tmp_path / "drive.zarr"
    {"folder": path.mkdir, "file": path.touch, "link": lambda: path.symlink_to("nowhere")}[what]()
    with pytest.raises(StoreExistsError, match="choose another --out, or remove it"):
        create(path)
    assert not list(tmp_path.glob("*.lock"))


def test_refuses_a_target_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write to") as caught:
        create(tmp_path / "file" / "drive.zarr")
    assert caught.value.exit_code == 4


def test_refuses_attributes_that_are_no_plain_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config as JSON data"):
        create(tmp_path / "drive.zarr", config={"f": object()})
    assert not (tmp_path / "drive.zarr").exists()


@pytest.mark.parametrize("name", ["", "a/b", "..", "front camera", "ledger.json"])
def test_refuses_camera_names_that_are_no_folder_names(tmp_path: Path, name: str) -> None:
    with create(tmp_path / "drive.zarr") as store, pytest.raises(InputError, match="cannot name a camera"):
        CameraWriter(store.path, name, SMALL)


def test_refuses_a_camera_twice_and_a_writer_without_a_store(tmp_path: Path) -> None:
    path = record(tmp_path / "drive.zarr", street(1))
    with pytest.raises(StoreExistsError, match="already exists"):
        CameraWriter(path, "front")
    with pytest.raises(StoreError, match=r"MaskStore\.create first"):
        CameraWriter(tmp_path / "nothing.zarr", "front")


def test_refuses_frames_that_do_not_fit_and_keeps_those_that_did(tmp_path: Path) -> None:
    good = street(1)[0]
    boxes_only = Tracks(
        Instances(SIZE, good.instances.boxes, good.instances.scores, good.instances.category_ids),
        good.track_ids,
        good.states,
        good.ages_ns,
        good.velocities,
        good.lost,
    )
    short = RleMasks((b"1000",), SIZE)
    box = [(0, 0, 4, 4)]
    refused: list[tuple[int, int, Tracks, type[Exception], str]] = [
        (0, 9, good, InputError, "above 0, got 0"),
        (1, 5, good, InputError, "after 5 ns"),
        (1, 9, boxes_only, InstancesError, "boxes only"),
        (1, 9, street(1, (24, 41))[0], InstancesError, r"images of \(24, 40\)"),
        (1, 9, tracks_of(SIZE, box * 2, [3, 3]), InstancesError, "unique track ids"),
        (1, 9, tracks_of(SIZE, box, [2**32]), InstancesError, "unique track ids"),
        (1, 9, tracks_of(SIZE, box, [-1]), InstancesError, "unique track ids"),
        (1, 9, tracks_of(SIZE, box, [1], category_ids=[90]), InstancesError, "class_names"),
        (1, 9, tracks_of(SIZE, box, [1], masks=short), InstancesError, "fill an image"),
    ]
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        with pytest.raises(InputError, match="call start_epoch"):
            writer.append(0, 5, good)
        writer.start_epoch(0, SIZE, "media")
        writer.append(0, 5, good)
        for index, timestamp_ns, tracks, error, words in refused:
            with pytest.raises(error, match=words):
                writer.append(index, timestamp_ns, tracks)
        with pytest.raises(InputError, match="epoch above 0"):
            writer.start_epoch(0, SIZE, "media")
        writer.append(1, 9, good)
        assert writer.close(captured=2).stored == 2
        with pytest.raises(StoreError, match="closed"):
            writer.append(2, 10, good)
    assert check_drive(tmp_path / "drive.zarr").ok


@pytest.mark.parametrize("values", [{"shard_mb": 0}, {"shard_mb": 5000}, {"compression_level": 0}])
def test_config_is_validated(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        StoreConfig(**values)
