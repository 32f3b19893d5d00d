"""Cameras of MCAP, db3 and ROS 1 bags: names, stamps, calibration."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from mcap.writer import CompressionType, Writer
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines.errors import SourceError
from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.config import RunConfig
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sources import FrameSource, open_camera, parse_sources
from roadmask.streaming.sources.bags.cameras import with_topics
from roadmask.streaming.store import open_drive
from roadmask.testing import SourceContract
from support.bags import (
    EPOCH_NS,
    PERIOD_NS,
    TOPIC,
    Entry,
    compressed_entry,
    entries,
    foxglove_entry,
    image_entry,
    info_entry,
    numbers,
    png,
    read_all,
    street,
    write_db3,
    write_mcap,
    write_ros1,
)
from support.drives import bright_segmenter
from support.video_factory import SIZE, numbered_image


class TestMcap(SourceContract):
    camera = "camera_front"
    frames = 6
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        path = folder / "drive.mcap"
        if not path.exists():
            write_mcap(path, [*entries(), info_entry("/camera/front/camera_info", EPOCH_NS)])
        return open_camera(self.camera, [str(path)])


class TestVideoInDb3(SourceContract):
    camera = "front"
    frames = 6
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        if not (folder / "drive").exists():
            write_db3(folder / "drive", video_entries("libx264", "h264"))
        return open_camera(self.camera, [str(folder / "drive")])


@cache
def video_entries(encoder: str, name: str, count: int = 6) -> tuple[Entry, ...]:
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
    context.time_base, context.max_b_frames = Fraction(1, 10), 0
    context.options = {"tune": "zerolatency", "preset": "ultrafast", "crf": "10"}
    if encoder == "libx265":
        context.options |= {"x265-params": "log-level=none:bframes=0"}
    packets = []
    for n in range(count):
        frame = av.VideoFrame.from_ndarray(numbered_image(n), format="rgb24")
        frame.pts = n
        packets += context.encode(frame)
    packets += context.encode(None)
    return tuple(
        foxglove_entry("/front/video", EPOCH_NS + n * PERIOD_NS, bytes(packet), name)
        for n, packet in enumerate(packets)
    )


@pytest.mark.parametrize("kind", ["mcap", "mcap-lz4", "db3", "ros1", "ros1-bz2", "ros1-lz4"])
def test_every_container_gives_the_same_frames(kind: str, tmp_path: Path) -> None:
    made = [*entries(3), info_entry("/camera/front/camera_info", EPOCH_NS, focal=321.0)]
    match kind.split("-"):
        case ["mcap", *lz4]:
            path = write_mcap(
                tmp_path / "a.mcap", made, compression=CompressionType.LZ4 if lz4 else CompressionType.ZSTD
            )
        case ["db3"]:
            path = write_db3(tmp_path / "a", made)
        case [_, *compression]:
            path = write_ros1(tmp_path / "a.bag", made, compression[0].upper() if compression else None)
    (camera,) = parse_sources([str(path)])
    source = open_camera(camera, [str(path)])
    items = list(source)
    assert camera == "camera_front"
    assert numbers(items) == [0, 1, 2]
    assert [item.timestamp_ns for item in items] == [EPOCH_NS + n * PERIOD_NS for n in range(3)]
    assert source.clock == "unix"
    assert source.fps == pytest.approx(10)
    description = source.describe()
    assert description["frame_id"] == "front_optical"
    assert description["camera_info"]["k"][0] == 321.0
    assert description["camera_info"]["d"] == [0.1, -0.2, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("encoder", "name"), [("libx264", "h264"), ("libx265", "h265")])
def test_video_has_the_stamps_of_its_messages(encoder: str, name: str, tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", video_entries(encoder, name))
    items = read_all(path, "front")
    assert numbers(items) == list(range(6))
    assert [item.timestamp_ns for item in items] == [EPOCH_NS + n * PERIOD_NS for n in range(6)]


def test_video_that_begins_without_a_keyframe_counts_what_it_lost(tmp_path: Path) -> None:
    delimiter = foxglove_entry("/front/video", EPOCH_NS, b"\0\0\0\1\x09\x10", "h264")  # begins no frame
    first = video_entries("libx264", "h264")[1:]
    times = [EPOCH_NS + n * PERIOD_NS for n in (6, 7, 8)]
    again = zip(times, video_entries("libx264", "h264", 3), strict=True)
    later = [foxglove_entry("/front/video", ns, _payload(entry), "h264") for ns, entry in again]
    items = read_all(write_mcap(tmp_path / "a.mcap", [delimiter, *first, *later]), "front")
    assert numbers(items) == [None] * 5 + [0, 1, 2]
    assert [item.timestamp_ns for item in items[5:]] == times


def _payload(entry: Entry) -> bytes:
    from support.bags import ROS2

    return bytes(ROS2.deserialize_cdr(entry[3], entry[1]).data)


def test_cameras_are_named_after_their_topics_and_keep_their_offsets(tmp_path: Path) -> None:
    made = [*entries(2, "/front/image_raw"), *entries(2, "/rear/image_rect_color", EPOCH_NS + 43_000_000)]
    made += [compressed_entry("/left/image/compressed", EPOCH_NS, png(numbered_image(1)), "png")]
    made += [compressed_entry("/front/image_raw/compressed", EPOCH_NS, png(numbered_image(0)), "png")]
    made += [image_entry("/depth/image", EPOCH_NS, np.zeros((48, 64), np.uint16), "16UC1")]
    path = write_mcap(tmp_path / "drive.mcap", made)
    found = parse_sources([str(path)])
    assert {name: spec.partition("?")[2] for name, (spec,) in found.items()} == {
        "front": "topic=/front/image_raw",
        "left": "topic=/left/image/compressed",
        "rear": "topic=/rear/image_rect_color",
    }
    first = {name: next(iter(open_camera(name, specs))).timestamp_ns for name, specs in found.items()}
    assert first["rear"] - first["front"] == 43_000_000  # type: ignore[operator]
    assert list(parse_sources(with_topics([str(path)], ["/front/image_raw/compressed"]))) == ["front"]
    assert list(parse_sources([f"cam={path}?topic=/rear/image_rect_color"])) == ["cam"]
    with pytest.raises(SourceError, match=r"would be 3 topics.*choose one"):
        open_camera("cam", [str(path)])
    with pytest.raises(SourceError, match="no topic /nowhere in the bag: choose /depth/image or /front"):
        parse_sources([f"{path}?topic=/nowhere"])
    with pytest.raises(SourceError, match="expected a bag for --topic"):
        with_topics(["a.mp4"], ["/front"])
    # two topics whose short names are equal have their whole names
    path = write_mcap(tmp_path / "same.mcap", [*entries(1, "/cam/image_raw"), *entries(1, "/cam/image_rect")])
    assert list(parse_sources([str(path)])) == ["cam_image_raw", "cam_image_rect"]


def test_stamps_that_are_missing_or_go_back(tmp_path: Path) -> None:
    unset = [image_entry(TOPIC, 0, numbered_image(n)) for n in range(3)]
    unset = [(topic, kind, EPOCH_NS + n * PERIOD_NS, data) for n, (topic, kind, _, data) in enumerate(unset)]
    items = read_all(write_mcap(tmp_path / "unset.mcap", unset))
    assert [item.timestamp_ns for item in items] == [EPOCH_NS + n * PERIOD_NS for n in range(3)]
    simulated = read_all(write_mcap(tmp_path / "simulated.mcap", entries(3, start_ns=0)))
    assert [item.timestamp_ns for item in simulated] == [0, PERIOD_NS, 2 * PERIOD_NS]
    assert isinstance(simulated[0], Frame)
    assert simulated[0].clock == "monotonic"
    times = (0, 1, 1, 2)
    twice = [image_entry(TOPIC, EPOCH_NS + at * PERIOD_NS, numbered_image(n)) for n, at in enumerate(times)]
    stamps = [item.timestamp_ns for item in read_all(write_mcap(tmp_path / "twice.mcap", twice))]
    assert stamps[:2] == [EPOCH_NS, EPOCH_NS + PERIOD_NS]
    assert stamps[3] == EPOCH_NS + 2 * PERIOD_NS
    assert stamps[1] < stamps[2] < stamps[3]  # type: ignore[operator]


def test_another_image_size_begins_an_epoch(tmp_path: Path) -> None:
    made = [*entries(2), image_entry(TOPIC, EPOCH_NS + 9 * PERIOD_NS, numbered_image(5, (96, 128)))]
    items = read_all(write_mcap(tmp_path / "a.mcap", made))
    assert [(item.epoch, item.frame_index) for item in items] == [(0, 0), (0, 1), (1, 2)]


def test_foxglove_protobuf_and_json(tmp_path: Path) -> None:
    """Written byte by byte after the .proto file: timestamp 1, data 2, format 3, frame_id 4."""
    import base64
    import json

    image = png(numbered_image(7))

    def field(number: int, value: bytes) -> bytes:
        size, rest = len(value), b""
        while size > 127:
            rest += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + rest + bytes([size]) + value

    time = b"\x08" + _varint(EPOCH_NS // 10**9) + b"\x10" + _varint(250)
    message = field(1, time) + field(2, image) + field(3, b"png") + field(4, b"front")
    text = json.dumps(
        {"timestamp": {"sec": EPOCH_NS // 10**9, "nsec": 250}, "frame_id": "front", "format": "png",
         "data": base64.b64encode(image).decode()}
    ).encode()  # fmt: skip
    for encoding, data in (("protobuf", message), ("json", text)):
        path = tmp_path / f"{encoding}.mcap"
        with path.open("wb") as file:
            writer = Writer(file)
            writer.start()
            schema = writer.register_schema("foxglove.CompressedImage", encoding, b"")
            channel = writer.register_channel("/front/image", encoding, schema)
            writer.add_message(channel, 1, data, 1)
            writer.finish()
        source = open_camera("front", [str(path)])
        (item,) = source
        assert numbers([item]) == [7]
        assert item.timestamp_ns == EPOCH_NS + 250
        assert source.describe()["frame_id"] == "front"


def _varint(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def test_a_folder_of_several_files_is_read_in_order_and_found_by_batches(tmp_path: Path) -> None:
    made = entries(6)
    folder = tmp_path / "drives" / "monday"
    folder.mkdir(parents=True)
    for n in range(3):
        write_mcap(folder / f"monday_{n}.mcap", made[2 * n : 2 * n + 2])
    assert numbers(read_all(folder)) == list(range(6))
    listed = "".join(f"    - monday_{n}.mcap\n" for n in (2, 0, 1))
    (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  relative_file_paths:\n{listed}")
    assert numbers(read_all(folder))[:2] == [4, 5]
    (drive,) = find_drives([str(tmp_path / "drives")]).drives
    assert drive.name == "monday"
    assert [job.camera for job in drive.jobs()] == ["camera_front"]
    packed = tmp_path / "drives" / "packed"
    packed.mkdir()
    (packed / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  relative_file_paths:\n    - a.db3.zstd\n")
    (packed / "a.db3.zstd").write_bytes(b"x")
    found = find_drives([str(tmp_path / "drives")])
    assert [each.name for each in found.drives] == ["monday"]
    assert "unpack it first with `zstd -d a.db3.zstd`" in found.left_out[packed]


def test_a_bag_gives_the_arrays_of_its_images(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    made = []
    for n in range(8):
        (images / f"{n}.png").write_bytes(png(street(n)))
        made.append(compressed_entry("/camera/image/compressed", n * PERIOD_NS, png(street(n)), "png"))
    write_mcap(tmp_path / "a.mcap", made)
    record_drive(f"camera={images}", tmp_path / "images.zarr", build=bright_segmenter)
    record_drive(str(tmp_path / "a.mcap"), tmp_path / "bag.zarr", build=bright_segmenter)
    same_arrays(tmp_path / "images.zarr", tmp_path / "bag.zarr")


def same_arrays(one: Path, other: Path) -> None:
    first, second = open_drive(one)["camera"], open_drive(other)["camera"]
    assert len(first) == len(second) > 0
    assert sum(len(frame) for frame in first) > 0
    for position in range(len(first)):
        a, b = first.frame(position), second.frame(position)
        assert a.timestamp_ns == b.timestamp_ns
        np.testing.assert_array_equal(a.track_ids, b.track_ids)
        np.testing.assert_array_equal(a.instances.boxes, b.instances.boxes)
        assert a.instances.masks is not None
        assert b.instances.masks is not None
        assert a.instances.masks.to_rle().counts == b.instances.masks.to_rle().counts


@pytest.mark.ci
def test_a_bag_of_a_real_drive_gives_the_arrays_of_its_images(data_dir: Path, tmp_path: Path) -> None:
    frames = sorted((data_dir / "kitti_drive").glob("*.jpg"))[:10]
    made = [compressed_entry("/camera/image", n * PERIOD_NS, path.read_bytes()) for n, path in enumerate(frames)]
    write_mcap(tmp_path / "a.mcap", made)
    record_drive({"camera": str(data_dir / "kitti_drive")}, tmp_path / "images.zarr", RunConfig(max_frames=10))
    record_drive(str(tmp_path / "a.mcap"), tmp_path / "bag.zarr")
    same_arrays(tmp_path / "images.zarr", tmp_path / "bag.zarr")


def test_info_lists_topics(tmp_path: Path) -> None:
    made = [*entries(3), info_entry("/camera/front/camera_info", EPOCH_NS)]
    path = write_mcap(tmp_path / "a.mcap", made)
    shown = CliRunner().invoke(app, ["info", str(path)], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    row = next(line for line in shown.output.splitlines() if "image_raw" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        TOPIC,
        "sensor_msgs/Image",
        "camera_front",
        "3",
        "0.2",
        "10.0",
    ]
    assert "4 messages" in shown.output
