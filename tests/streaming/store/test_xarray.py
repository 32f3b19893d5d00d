"""xarray opens a store, part by part and whole, without a warning, and its times are exact."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from roadmask.streaming.frames import Clock
from roadmask.streaming.store import CameraWriter, open_drive
from roadmask.streaming.store.layout import METADATA
from support.stores import FRAME_NS, SMALL, create, record, street

xr = pytest.importorskip("xarray", reason="needs the dev group")

SIZE = (24, 40)
START = "2026-03-01T08:30:00+00:00"


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Two cameras; the front one has an epoch on each clock and changes its image size."""
    path = tmp_path / "drive.zarr"
    sources = {"front": {"kind": "video", "recorded_at": START}, "rear": {"kind": "images"}}
    with create(path, sources=sources):
        for name, sizes in (("front", [SIZE, (30, 60), (16, 16)]), ("rear", [SIZE])):
            with CameraWriter(path, name, SMALL) as writer:
                index = 0
                for epoch, (size, clock) in enumerate(zip(sizes, ("media", "unix", "monotonic"), strict=False)):
                    writer.start_epoch(epoch, size, clock)
                    for n, tracks in enumerate(street(12, size)):
                        writer.append(index, START_NS[clock] + n * FRAME_NS, tracks)
                        index += 1
    return path


START_NS: dict[Clock, int] = {"media": 0, "unix": 1_772_353_800_123_456_789, "monotonic": 8_765_432_123_456_789}


def test_each_group_opens_with_default_arguments(drive: Path) -> None:
    camera = open_drive(drive)["front"]
    for epoch in camera.epochs:
        base = f"front/{epoch.info.epoch}"
        maps = xr.open_zarr(drive, group=base)
        assert dict(maps.sizes) == {"frame": 12, "y": epoch.info.image_size[0], "x": epoch.info.image_size[1]}
        np.testing.assert_array_equal(maps.id_map[3], epoch.id_map(3))
        frames = xr.open_zarr(drive, group=f"{base}/frames")
        assert dict(frames.sizes) == {"frame": 12}
        np.testing.assert_array_equal(frames.frame_index, epoch.frame_index)
        instances = xr.open_zarr(drive, group=f"{base}/instances")
        first, last = instances.offsets.values[3:5]
        seen = instances.isel(instance=slice(first, last))
        np.testing.assert_array_equal(seen.track_id, epoch.frame(3)[1])
        assert seen.box.dims == ("instance", "corner")


def test_the_whole_opens_as_a_tree(drive: Path) -> None:
    with xr.open_datatree(drive, engine="zarr") as tree:
        assert set(tree.children) == {"front", "rear"}
        assert set(tree["front"].children) == {"0", "1", "2", "ledger"}
        assert tree["front/1"].id_map.shape == (12, 30, 60)
        assert tree["front/ledger"].attrs["stored"] == 36
        assert tree["front/1/instances"].score.attrs["long_name"] == "confidence, 0 to 1"
        tree.load()


@pytest.mark.parametrize(("epoch", "clock", "kind"), [(0, "media", "m"), (1, "unix", "M"), (2, "monotonic", "m")])
def test_times_are_decoded_to_the_nanosecond(drive: Path, epoch: int, clock: Clock, kind: str) -> None:
    times = xr.open_zarr(drive, group=f"front/{epoch}/frames").timestamp_ns
    assert times.dtype == f"{kind}8[ns]"
    expected = START_NS[clock] + np.arange(12) * FRAME_NS
    np.testing.assert_array_equal(times.values.astype(np.int64), expected)
    if kind == "M":
        assert str(times.values[0]) == "2026-03-01T08:30:00.123456789"


def test_the_start_of_the_recording_is_kept(drive: Path) -> None:
    cameras = open_drive(drive)
    assert cameras["front"].recording_start == datetime.fromisoformat(START)
    assert cameras["front"].recording_start.tzinfo == UTC
    assert cameras["rear"].recording_start is None
    with xr.open_datatree(drive, engine="zarr") as tree:
        assert tree["front"].attrs["recording_start"] == START
        when = np.datetime64(START[:19], "ns") + tree["front/0/frames"].timestamp_ns.values
        assert str(when[1]) == "2026-03-01T08:30:00.100000000"


def test_names_of_arrays_groups_and_dimensions_do_not_collide(drive: Path) -> None:
    with xr.open_datatree(drive, engine="zarr") as tree:
        for node in tree.subtree:
            assert not set(node.data_vars) & set(node.children)
            assert not set(node.data_vars) & set(node.dims)
            assert not set(node.dims) & set(node.children)
            assert not node.coords, "no array is an index by accident"


@pytest.mark.parametrize("frames", [0, 1])
def test_a_short_store_opens(tmp_path: Path, frames: int) -> None:
    path = record(tmp_path / "drive.zarr", street(frames))
    with xr.open_datatree(path, engine="zarr") as tree:
        tree.load()
    if frames:
        assert xr.open_zarr(path, group="front/0/frames").sizes["frame"] == 1


def test_an_epoch_without_frames_opens(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with create(path), CameraWriter(path, "front", SMALL) as writer:
        writer.start_epoch(0, SIZE, "unix")
    with xr.open_datatree(path, engine="zarr") as tree:
        tree.load()
        assert tree["front/0/frames"].sizes["frame"] == 0


def test_a_store_that_is_being_written_opens_by_group(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    with create(path), CameraWriter(path, "front", SMALL) as writer:
        writer.start_epoch(0, SIZE, "unix")
        for n, tracks in enumerate(street(12)):
            writer.append(n, n, tracks)
        writer.commit()
        for group in ("front/0", "front/0/frames", "front/0/instances"):
            xr.open_zarr(path, group=group, consolidated=False).load()


def test_metadata_in_the_root_is_there_only_while_nobody_writes(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    consolidated = lambda: "consolidated_metadata" in json.loads((path / METADATA).read_text())  # noqa: E731
    with suppress(KeyboardInterrupt), create(path):
        assert not consolidated()
        raise KeyboardInterrupt
    assert consolidated()
    with create(path, resume=True):
        assert not consolidated(), "the next commit would make it wrong"
    assert consolidated()
