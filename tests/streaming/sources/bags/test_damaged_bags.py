"""Bags that are cut, damaged or wrong give what is whole, or are refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType

from roadmask.engines.errors import SourceError
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sources import open_camera, parse_sources
from roadmask.streaming.sources.bags.bag import bag_content, files_of_bag
from support.bags import (
    EPOCH_NS,
    PERIOD_NS,
    TOPIC,
    entries,
    image_entry,
    info_entry,
    numbers,
    read_all,
    write_db3,
    write_mcap,
    write_ros1,
)
from support.drives import bright_segmenter
from support.video_factory import SIZE


def test_an_image_that_lies_about_its_size_is_a_counted_failure(tmp_path: Path) -> None:
    made = entries(4)
    made[2] = image_entry(TOPIC, EPOCH_NS + 2 * PERIOD_NS, np.zeros((1, 30), np.uint8), step=1920, size=(480, 640))
    made.append((TOPIC, made[0][1], EPOCH_NS + 5 * PERIOD_NS, made[0][3][:30]))
    items = read_all(write_mcap(tmp_path / "a.mcap", made))
    assert numbers(items) == [0, 1, None, 3, None]
    result = record_drive(str(tmp_path / "a.mcap"), tmp_path / "a.zarr", RunConfig(), build=bright_segmenter)
    assert result.cameras[0].ledger.failed == {"decode": 2}
    assert result.cameras[0].ledger.stored == 3


@pytest.mark.parametrize("compression", list(CompressionType))
def test_a_cut_mcap_gives_what_is_whole(compression: CompressionType, tmp_path: Path, caplog: Any) -> None:
    rng = np.random.default_rng(0)
    made = [image_entry(TOPIC, EPOCH_NS + n * PERIOD_NS, rng.integers(0, 255, (*SIZE, 3), np.uint8)) for n in range(40)]
    path = write_mcap(tmp_path / "a.mcap", made, chunk_bytes=2**16, compression=compression)
    content = path.read_bytes()
    counts = []
    for share in (0.3, 0.6, 0.9):
        cut = tmp_path / f"{share}.mcap"
        cut.write_bytes(content[: int(len(content) * share)])
        counts.append(len(read_all(cut)))
        assert "cut off" in caplog.text
    for share, count in zip((0.3, 0.6, 0.9), counts, strict=True):
        assert abs(count - 40 * share) < 7, counts
    spoiled = bytearray(content)
    spoiled[len(content) // 2] ^= 0x55
    (tmp_path / "spoiled.mcap").write_bytes(spoiled)
    caplog.clear()
    assert 30 < len(read_all(tmp_path / "spoiled.mcap")) < 40
    assert "is damaged" in caplog.text


def test_cut_db3_and_ros1_bags_give_what_is_whole(tmp_path: Path) -> None:
    made = entries(40)
    db3 = next(write_db3(tmp_path / "a", made).glob("*.db3"))
    bag = write_ros1(tmp_path / "a.bag", made)
    for path in (db3, bag):
        cut = tmp_path / f"cut{path.suffix}"
        cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        found = read_all(cut)
        assert 15 < len(found) <= 25, path
        assert numbers(found) == list(range(len(found)))
        assert "cut off" in bag_content([cut]).problems[0]


@pytest.mark.parametrize("kind", ["mcap", "db3", "bag"])
def test_flipped_bits_are_refused_or_counted(kind: str, tmp_path: Path) -> None:
    made = entries(6)
    if kind == "mcap":
        path = write_mcap(tmp_path / "a.mcap", made, chunk_bytes=2**15, compression=CompressionType.NONE)
    else:
        path = (
            next(write_db3(tmp_path / "a", made).glob("*.db3"))
            if kind == "db3"
            else write_ros1(tmp_path / "a.bag", made)
        )
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    read = 0
    for n in range(40):
        spoiled = bytearray(content)
        headers = np.flatnonzero(np.frombuffer(content, np.uint8) != 60)  # most of the pixels are 60
        for at in rng.choice(headers, 4):
            spoiled[at] ^= 1 << rng.integers(8)
        broken = tmp_path / f"{n}.{kind}"
        broken.write_bytes(spoiled)
        try:
            read += len(read_all(broken))
        except SourceError:
            continue
    assert read > 20


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    for name in ("a.mcap", "a.db3", "a.bag"):
        (tmp_path / name).write_bytes(b"not a bag at all" * 10)
        with pytest.raises(SourceError, match=r"cannot read .* as a bag"):
            parse_sources([str(tmp_path / name)])
    write_mcap(tmp_path / "empty.mcap", [])
    with pytest.raises(SourceError, match="has no messages"):
        parse_sources([str(tmp_path / "empty.mcap")])
    write_mcap(tmp_path / "info.mcap", [info_entry("/camera_info", EPOCH_NS)])
    with pytest.raises(SourceError, match=r"has no camera: .*got 1 topics \(1 of sensor_msgs/CameraInfo\)"):
        parse_sources([str(tmp_path / "info.mcap")])


def test_all_real_bags_open_or_are_refused_with_a_sentence(data_dir: Path) -> None:
    found = [path for path in (data_dir / "bags").rglob("*") if path.suffix in (".mcap", ".db3", ".bag")]
    found += [path.parent for path in (data_dir / "bags").rglob("metadata.yaml")]
    assert found
    expected = {"test_bag_mcap": 188, "cdr_test": 7, "talker": 20, "example": 8647, "example-bz2": 8647, "wbag": 6074}
    for path in found:
        files = [path] if path.is_file() else []
        content = bag_content(files or files_of_bag(path))
        assert content.messages == expected.get(path.stem, content.messages) > 0, path
        assert not content.problems, path
        if not path.stem.startswith("test_bag_"):
            with pytest.raises(SourceError, match="has no camera"):
                parse_sources([str(path)])
            continue
        for name, specs in parse_sources([str(path)]).items():
            with pytest.raises(SourceError, match=r"cannot decode any of the 2 images of /test/sensor_msgs"):
                open_camera(name, specs)
