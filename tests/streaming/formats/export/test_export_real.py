"""Real masks through a store and out again: two cameras, and a camera whose resolution changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from benchmarks.store.measuring import write_mots
from roadmask.evaluation.tracks import COMBINED, measure_tracks
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.formats.kitti import read_kitti_mots
from roadmask.streaming.store import CameraWriter, open_drive
from support.stores import FRAME_NS, SMALL, create, street

FRAMES = 20
SEQUENCES = ("0014", "0017")


@pytest.fixture(scope="module")
def drive(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of two sequences of KITTI MOTS, each a camera."""
    folder = tmp_path_factory.mktemp("mots")
    for name in SEQUENCES:
        rows = (data_dir / "kitti_mots_gt" / f"{name}.txt").read_text().splitlines(keepends=True)
        (folder / f"{name}.txt").write_text("".join(row for row in rows if int(row.split()[0]) < FRAMES))
    assert write_mots(folder, folder / "drive.zarr") > 50
    return folder / "drive.zarr"


def test_kitti_mots_comes_out_as_it_went_in(drive: Path, tmp_path: Path) -> None:
    export_drive(ExportJob(open_drive(drive)), "kitti-mots", str(tmp_path / "out"))
    for file in (f"{name}.txt" for name in SEQUENCES):
        was, now = (read_kitti_mots(folder / file) for folder in (drive.parent, tmp_path / "out"))
        assert [{row[1:] for row in frame.rows} for frame in was] == [{row[1:] for row in frame.rows} for frame in now]
    together = [m for m in measure_tracks(drive.parent, tmp_path / "out", "kitti-mots") if m.sequence == COMBINED]
    assert [m.class_name for m in together] == ["car", "pedestrian"]
    assert all(m.values["HOTA"] == pytest.approx(100) for m in together)


def test_two_cameras_share_a_coco_file(drive: Path, tmp_path: Path) -> None:
    export_drive(ExportJob(open_drive(drive)), "coco", str(tmp_path / "drive.json"))
    coco = COCO(str(tmp_path / "drive.json"))
    images = coco.loadImgs(coco.getImgIds())
    assert {image["camera"] for image in images} == set(SEQUENCES)
    for image in images:
        camera = open_drive(drive)[image["camera"]]
        frame = camera.frame(camera.position_of(image["frame_index"]))
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        areas = np.array([coco.annToMask(each).sum() for each in found], np.int64)
        np.testing.assert_array_equal(areas, frame.instances.masks.area if len(frame) else areas)


def test_a_change_of_resolution_is_told_in_every_row(tmp_path: Path) -> None:
    sizes = [(24, 40), (32, 48)]
    with create(tmp_path / "drive.zarr") as store, CameraWriter(store.path, "front", SMALL) as writer:
        for epoch, size in enumerate(sizes):
            writer.start_epoch(epoch, size, "media")
            for n, tracks in enumerate(street(6, size)):
                writer.append(6 * epoch + n, n * FRAME_NS, tracks)
        writer.close(captured=12)
    job = ExportJob(open_drive(tmp_path / "drive.zarr"))
    export_drive(job, "rle-jsonl", str(tmp_path / "a.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert {(row["epoch"], tuple(row["size"])) for row in rows} == set(enumerate(sizes))
    export_drive(job, "coco", str(tmp_path / "a.json"))
    coco = COCO(str(tmp_path / "a.json"))
    assert {(image["height"], image["width"]) for image in coco.loadImgs(coco.getImgIds())} == set(sizes)
    for each in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(each).sum() == each["area"]
