"""What is stored, what is exported and what is measured are the same pixels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.evaluation.tracks import read_sequences
from roadmask.evaluation.tracks.drive import read_drive
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.store import CameraReader, open_drive
from roadmask.tracking import Tracks
from support.stores import record, tracks_of

pytest.importorskip("trackeval", reason="needs roadmask[eval]")

PERSON, CAR, BUS = 1, 3, 6
NAMES = {PERSON: "pedestrian", CAR: "car", BUS: "bus"}
SIZE = (40, 60)

Pixels = dict[tuple[int, int], NDArray[np.bool_]]
"""(frame index, track id) -> (H, W) where the track is."""


def crowd(random: np.random.Generator) -> list[Tracks]:
    """Frames full of boxes over each other: three classes, equal scores, some without a track, some covered whole."""
    frames = []
    for _ in range(12):
        count = int(random.integers(0, 9))
        corners = random.integers(0, (SIZE[1] - 2, SIZE[0] - 2), (count, 2))
        ends = np.minimum(corners + random.integers(1, 30, (count, 2)), (SIZE[1], SIZE[0]))
        ids = random.permutation(np.arange(1, 20))[:count] * (random.random(count) > 0.2)
        category_ids = random.choice((PERSON, CAR, BUS), count)
        scores = random.choice((0.5, 0.6, 0.9), count)
        boxes = np.concatenate([corners, ends], axis=1)
        frames.append(
            tracks_of(
                SIZE,
                [tuple(each) for each in boxes.tolist()],
                ids.tolist(),
                category_ids=category_ids.tolist(),
                scores=scores.tolist(),
            )
        )
    return frames


def stored_pixels(camera: CameraReader) -> Pixels:
    """The tracked cars and pedestrians as the id map shows them."""
    found = {}
    for position in range(len(camera)):
        frame, id_map = camera.frame(position), camera.id_map(position)
        for track_id, category_id in zip(frame.track_ids.tolist(), frame.instances.category_ids.tolist(), strict=True):
            if category_id != BUS and track_id and (id_map == track_id).any():
                found[frame.frame_index, track_id] = id_map == track_id
    return found


def exported_pixels(file: Path) -> Pixels:
    found = {}
    for line in file.read_text().splitlines():
        frame, track_id, _, height, width, counts = line.split()
        mask = coco_mask.decode({"size": [int(height), int(width)], "counts": counts.encode()})
        found[int(frame), int(track_id)] = mask.astype(bool)
    return found


def measured_pixels(drive: Path, length: int) -> Pixels:
    data = read_drive(drive)["front"].trackeval_data(length)
    return {
        (frame, track_id): coco_mask.decode(mask).astype(bool)
        for frame, (ids, masks) in enumerate(zip(data["ids"], data["dets"], strict=True))
        for track_id, mask in zip(ids.tolist(), masks, strict=True)
    }


def assert_same(one: Pixels, other: Pixels) -> None:
    assert one.keys() == other.keys()
    for key, pixels in one.items():
        np.testing.assert_array_equal(pixels, other[key], str(key))


@pytest.mark.parametrize("seed", range(8))
def test_store_export_and_measures_agree_on_every_pixel(tmp_path: Path, seed: int) -> None:
    frames = crowd(np.random.default_rng(seed))
    drive = record(tmp_path / "drive.zarr", frames, class_names=NAMES)
    export_drive(ExportJob(open_drive(drive)), "kitti-mots", str(tmp_path / "mots"))
    stored = stored_pixels(open_drive(drive)["front"])
    assert_same(stored, exported_pixels(tmp_path / "mots" / "front.txt"))
    assert_same(stored, measured_pixels(drive, len(frames)))
    areas = defaultdict(int)
    for (frame, _), pixels in stored.items():
        areas[frame] += pixels.astype(int)
    assert all(each.max() == 1 for each in areas.values())
    for data in read_sequences(tmp_path / "mots", drive, "drive"):  # through trackeval, text against store
        for true, given, similarity in zip(data.true_ids, data.given_ids, data.similarity, strict=True):
            np.testing.assert_array_equal(true, given)
            np.testing.assert_array_equal(similarity, np.eye(len(true)))


def test_a_car_under_a_bus_keeps_only_what_is_seen_of_it(tmp_path: Path) -> None:
    car, bus = (10, 10, 40, 30), (30, 5, 60, 35)  # 600 pixels of car, 200 of them under the bus
    frames = [tracks_of(SIZE, [car, bus], [1, 2], category_ids=[CAR, BUS], scores=[0.8, 0.9])]
    drive = record(tmp_path / "drive.zarr", frames, class_names=NAMES)
    export_drive(ExportJob(open_drive(drive)), "kitti-mots", str(tmp_path / "mots"))
    for found in (
        stored_pixels(open_drive(drive)["front"]),
        exported_pixels(tmp_path / "mots" / "front.txt"),
        measured_pixels(drive, 1),
    ):
        assert {key: int(pixels.sum()) for key, pixels in found.items()} == {(0, 1): 400}


def test_what_is_hidden_or_has_no_track_is_not_measured(tmp_path: Path) -> None:
    boxes = [(10, 10, 20, 20), (5, 5, 30, 30), (40, 10, 50, 20)]
    frames = [tracks_of(SIZE, boxes, [1, 2, 0], category_ids=[CAR, BUS, CAR], scores=[0.8, 0.9, 0.9])]
    drive = record(tmp_path / "drive.zarr", frames, class_names=NAMES)
    assert measured_pixels(drive, 1) == {}
