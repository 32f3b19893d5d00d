"""KITTI raw folders and the tables of nuScenes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource, open_camera, parse_sources
from roadmask.testing import SourceContract
from support.bags import png
from support.video_factory import SIZE, numbered_image


def write_kitti_raw(folder: Path, frames: int = 5, missing: int | None = 2) -> Path:
    for camera in ("image_02", "image_03"):
        (folder / camera / "data").mkdir(parents=True)
        for n in range(frames):
            if n != missing:
                (folder / camera / "data" / f"{n:010d}.png").write_bytes(png(numbered_image(n)))
        lines = [f"2011-09-26 13:02:25.{594360375 + n * 100_000_000:09d}\n" for n in range(frames)]
        (folder / camera / "timestamps.txt").write_text("".join(lines))
    return folder


class TestKittiRaw(SourceContract):
    camera = "image_02"
    frames = 4
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        raw = folder / "drive"
        if not raw.exists():
            write_kitti_raw(raw, frames=4)
        (spec,) = parse_sources([str(raw)])["image_02"]
        return open_camera("image_02", [spec])


def test_kitti_raw_has_its_times_to_the_nanosecond_and_counts_missing_images(tmp_path: Path) -> None:
    found = parse_sources([str(write_kitti_raw(tmp_path / "drive", frames=4))])
    assert list(found) == ["image_02", "image_03"]
    items = list(open_camera("image_03", found["image_03"]))
    assert [item.timestamp_ns for item in items] == [1317042145594360375 + n * 100_000_000 for n in range(4)]
    assert [item.reason for item in items if isinstance(item, LostFrame)] == ["missing"]
    assert isinstance(items[0], Frame)
    assert items[0].clock == "unix"
    with pytest.raises(SourceError, match=r"expected a camera of .* \(image_02, image_03\), got 'image_09'"):
        open_camera("x", [f"dataset:{tmp_path / 'drive'}?camera=image_09"])
    (tmp_path / "drive" / "image_02" / "timestamps.txt").write_text("yesterday\n")
    with pytest.raises(SourceError, match="expected times such as '2011"):
        parse_sources([str(tmp_path / "drive")])


def test_tables_of_nuscenes(data_dir: Path, tmp_path: Path) -> None:
    tables = tmp_path / "v1.0-mini"
    shutil.copytree(data_dir / "nuscenes_sample" / "lyft_tables", tables)
    rows = json.loads((tables / "sample_data.json").read_text())
    cameras = parse_sources_without_images(tmp_path)
    assert "CAM_FRONT" in cameras
    front = next(row for row in rows if "cam0" in row["filename"])
    image = tmp_path / front["filename"]
    image.parent.mkdir()
    image.write_bytes(png(numbered_image(3)))
    sources = {name: specs for name, specs in cameras.items() if _opens(name, specs)}
    ((name, specs),) = sources.items()
    source = open_camera(name, specs)
    (item,) = source
    assert item.timestamp_ns == round(front["timestamp"]) * 1000
    description = source.describe()
    assert description["camera_info"]["k"][0] > 500
    assert description["mounting"]["translation"][2] == pytest.approx(1.5, abs=0.3)
    (tables / "sensor.json").write_text("[{}]")
    with pytest.raises(SourceError, match="cannot read the tables of nuScenes"):
        parse_sources([str(tmp_path)])


def parse_sources_without_images(folder: Path) -> dict[str, list[str]]:
    cameras = parse_sources([str(folder)])
    with pytest.raises(SourceError, match="copy the images beside the tables"):
        open_camera("CAM_FRONT", cameras["CAM_FRONT"])
    return cameras


def _opens(name: str, specs: list[str]) -> bool:
    try:
        open_camera(name, specs)
    except SourceError:
        return False
    return True
