"""The contract of export formats, kept by those that are part of roadmask and need no images."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.formats.export import FORMATS, ExportJob
from roadmask.testing import ExportContract


class _Registered(ExportContract):
    name: str

    def write(self, job: ExportJob, path: Path) -> None:
        for package in FORMATS[self.name].packages:
            pytest.importorskip(package, reason="needs roadmask[export]")
        FORMATS[self.name].writer(job, path)


class TestCoco(_Registered):
    name, suffix = "coco", ".json"


class TestKittiMots(_Registered):
    name = "kitti-mots"


class TestCvat(_Registered):
    name, suffix = "cvat", ".xml"


class TestRleJsonl(_Registered):
    name, suffix = "rle-jsonl", ".jsonl"


class TestMcap(_Registered):
    name, suffix = "mcap", ".mcap"


class TestParquet(_Registered):
    name, suffix = "parquet", ".parquet"
