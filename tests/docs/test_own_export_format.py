"""The format of the docs passes the contract of every format, and has one line for each tracked instance."""

from pathlib import Path

import own_export_format

import roadmask
from roadmask.extend import ExportJob
from roadmask.testing import ExportContract, ScriptedSegmenter


class TestMot(ExportContract):
    suffix = ".txt"

    def write(self, job: ExportJob, path: Path) -> None:
        own_export_format.write(job, path)


def parked_car() -> ScriptedSegmenter:
    """Returns an engine that finds the same car in each image of the sample drive."""
    outline = [100, 200, 180, 200, 180, 260, 100, 260]
    found = roadmask.Instances.from_coco(
        [{"bbox": [100, 200, 80, 60], "segmentation": [outline], "category_id": roadmask.CAR, "score": 0.9}], (384, 640)
    )
    return ScriptedSegmenter([found])


def test_one_line_for_each_tracked_instance(tmp_path: Path) -> None:
    roadmask.record_drive({"front": "synthetic:?seconds=1"}, tmp_path / "drive.zarr", build=parked_car)
    job = ExportJob(roadmask.open_drive(tmp_path / "drive.zarr"))
    own_export_format.write(job, tmp_path / "drive.txt")
    lines = (tmp_path / "drive.txt").read_text().splitlines()
    assert len(lines) == len(job.drive["front"])
    assert lines[0] == "1,1,100.00,200.00,80.00,60.00,0.9000,-1,-1,-1"
