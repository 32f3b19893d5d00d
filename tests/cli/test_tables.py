"""What commands say at their end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roadmask.cli.tables import found_sentence
from roadmask.streaming.store import summarize_drive
from support.stores import record, street


def test_a_drive_in_one_sentence(tmp_path: Path) -> None:
    summary = summarize_drive(record(tmp_path / "drive.zarr", street(20)))
    assert found_sentence(summary) == "Followed 1 pedestrian and 1 car through 20 frames (2.0 s)."


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        ({}, "nothing"),
        ({"car": 0}, "nothing"),
        ({"bus": 2}, "2 buses"),
        ({"pedestrian": 3, "car": 1, "truck": 2}, "3 pedestrians, 1 car and 2 trucks"),
    ],
)
def test_things_are_listed_as_people_list_them(tracks: dict[str, int], words: str) -> None:
    classes = [SimpleNamespace(class_name=name, tracks=number) for name, number in tracks.items()]
    drive: Any = SimpleNamespace(cameras=[SimpleNamespace(classes=classes)], frames=5, seconds=0.5)
    assert found_sentence(drive) == f"Followed {words} through 5 frames (0.5 s)."
