"""Bags of tracks: read by the decoders of others, written the same twice, whole after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from pycocotools import mask as mask_util
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines.errors import InputError
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.messages.definitions import ANNOTATIONS, DETECTIONS, INSTANCE_ARRAY, ros2_schema
from roadmask.streaming.messages.fields import InstanceArray, InstanceMessage
from roadmask.streaming.messages.viewers import detection_array, image_annotations
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sinks.bag import BagSink, topic_names
from roadmask.streaming.store import open_drive
from support.bags import PERIOD_NS, compressed_entry, png, read_instances, street, write_mcap
from support.drives import bright_segmenter


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with in.mcap (8 frames, the fourth damaged), its store drive.zarr and the tracks out.mcap."""
    folder = tmp_path_factory.mktemp("recorded")
    made = []
    for n in range(8):
        content = png(street(n)) if n != 3 else b"damaged"
        made.append(compressed_entry("/camera/front/image/compressed", n * PERIOD_NS, content, "png"))
    write_mcap(folder / "in.mcap", made)
    sinks = [BagSink(folder / "out.mcap")]
    record_drive(str(folder / "in.mcap"), folder / "drive.zarr", build=bright_segmenter, sinks=lambda _: sinks)
    return folder


def decoded(path: Path) -> dict[str, list[Any]]:
    """The messages of a bag by topic, decoded by mcap-ros2-support after the definitions in the bag."""
    found: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, message, content in reader.iter_decoded_messages():
            assert message.log_time == message.publish_time
            found.setdefault(channel.topic, []).append(content)
    return found


def test_another_decoder_reads_all_topics(recorded: Path) -> None:
    found = decoded(recorded / "out.mcap")
    assert {topic: len(each) for topic, each in found.items()} == {
        f"/camera/front/roadmask/{name}": 7 for name in ("annotations", "detections", "instances")
    }
    camera = open_drive(recorded / "drive.zarr")["camera_front"]
    for position, message in enumerate(found["/camera/front/roadmask/instances"]):
        frame = camera.frame(position)
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == frame.timestamp_ns
        assert message.header.frame_id == "front_optical"
        assert message.sequence == frame.frame_index
        assert (message.height, message.width) == (48, 64)
        (one,) = message.instances
        assert (one.track_id, one.category) == (frame.track_ids[0], "car")
        mask = mask_util.decode({"size": [48, 64], "counts": bytes(one.mask)})
        assert mask.sum() == frame.instances.masks.to_rle().area[0]  # type: ignore[union-attr]
    last = found["/camera/front/roadmask/instances"][-1]
    assert (last.captured, last.stored, [(each.reason, each.count) for each in last.failed]) == (8, 7, [("decode", 1)])
    detection = found["/camera/front/roadmask/detections"][-1].detections[0]
    box = camera.frame(6).instances.boxes[0]
    assert detection.bbox.center.position.x == pytest.approx((box[0] + box[2]) / 2)
    assert (detection.bbox.size_x, detection.bbox.size_y) == pytest.approx((box[2] - box[0], box[3] - box[1]))
    assert detection.results[0].hypothesis.class_id == "car"
    annotation = found["/camera/front/roadmask/annotations"][-1]
    points = np.array([(point.x, point.y) for point in annotation.points[0].points])
    rows, columns = np.nonzero(mask)  # the contour runs through the centres of pixels
    assert points.min(axis=0).tolist() == [columns.min() + 0.5, rows.min() + 0.5]
    assert points.max(axis=0).tolist() == [columns.max() + 0.5, rows.max() + 0.5]
    assert {pair.key: pair.value for pair in annotation.points[0].metadata}["category"] == "car"
    assert annotation.texts[0].text == f"car {last.instances[0].track_id}"


def test_bytes_are_those_of_another_serializer() -> None:
    store = get_typestore(Stores.EMPTY)
    for name in (DETECTIONS, ANNOTATIONS, INSTANCE_ARRAY):
        types = get_types_from_msg(ros2_schema(name), name)
        store.register({key: value for key, value in types.items() if key not in store.types})
    mask = np.zeros((3, 5), np.uint8, order="F")
    mask[1:, 2:4] = 1
    counts = bytes(mask_util.encode(mask)["counts"])
    for count in range(4):
        one = InstanceMessage(7, 5, 3, 1, category="car" * count, x=1.0, y=2.0, width=3.0, height=4.0, mask=counts)
        message = InstanceArray(5 * 10**9 + 3, "f" * count, height=3, width=5, instances=[one] * count)
        for kind, data in (
            (DETECTIONS, detection_array(message)),
            (ANNOTATIONS, image_annotations(message, [(255, 0, 51)] * count)),
        ):
            again = store.serialize_cdr(store.deserialize_cdr(data, kind), kind)
            assert bytes(again) == data, (kind, count)


def test_the_export_has_the_tracks_of_the_store_and_the_same_bytes_twice(recorded: Path, tmp_path: Path) -> None:
    job = ExportJob(open_drive(recorded / "drive.zarr"))
    for name in ("a.mcap", "b.mcap"):
        export_drive(job, "mcap", str(tmp_path / name))
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    exported, live = read_instances(tmp_path / "a.mcap"), read_instances(recorded / "out.mcap")
    assert len(exported) == len(live) == 7

    def seen(message: InstanceArray) -> list[Any]:
        tracks = [(each.track_id, each.age_ns, each.mask) for each in message.instances]
        account = (message.sequence, message.captured, message.stored, message.failed, message.dropped)
        return [message.stamp_ns, message.frame_id, account, tracks]

    assert [seen(each) for each in exported] == [seen(each) for each in live]


def test_run_writes_one_bag_per_camera_the_same_twice(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "build_segmenter", lambda _: bright_segmenter())
    given = [f"one={recorded / 'in.mcap'}", f"two={recorded / 'in.mcap'}", "--no-ray"]
    for name in ("a", "b"):
        out = ["--out", str(tmp_path / f"{name}.zarr"), "--mcap", str(tmp_path / f"{name}.mcap")]
        ended = CliRunner().invoke(app, ["run", *given, *out])
        assert ended.exit_code == 3, ended.output  # one frame is damaged
        assert f"{name}.two.mcap" in ended.output
    for camera in ("one", "two"):
        first, second = ((tmp_path / f"{name}.{camera}.mcap").read_bytes() for name in ("a", "b"))
        assert first == second
        assert read_instances(tmp_path / f"a.{camera}.mcap")[0].camera == camera
    again = CliRunner().invoke(app, ["run", *given, "--out", str(tmp_path / "c.zarr"), *out[-2:]])
    assert "already exists" in str(again.exception)
    assert not (tmp_path / "c.zarr").exists()
    resumed = CliRunner().invoke(app, ["run", *given, *out, "--resume"])
    assert "cannot be resumed" in str(resumed.exception)


def test_a_killed_writer_leaves_a_bag_that_opens_at_its_last_chunk(tmp_path: Path) -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from roadmask.streaming.messages.track_bag import TrackBag
from support.messages import random_message
bag = TrackBag(Path({str(tmp_path / "killed.mcap")!r}))
for n in range(300):
    message = random_message(n, 10, (40, 60))
    message.sequence, message.stamp_ns = n, n
    bag.write("/front", message)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -9
    found = read_instances(tmp_path / "killed.mcap")
    assert 200 < len(found) < 300
    assert [each.sequence for each in found] == list(range(len(found)))


def test_names_of_topics_and_files(tmp_path: Path) -> None:
    assert topic_names("front", {}) == ("/front", "front")
    described = {"topic": "/camera/front/image_raw/compressed", "frame_id": "front_optical"}
    assert topic_names("front", described) == ("/camera/front", "front_optical")
    assert topic_names("front", {"topic": "/image_raw"}) == ("/front", "front")
    with pytest.raises(InputError, match=r"ends in \.mcap"):
        BagSink(tmp_path / "a.bag")
    (tmp_path / "a.mcap").write_bytes(b"x")
    with pytest.raises(InputError, match="already exists"):
        BagSink(tmp_path / "a.mcap")
