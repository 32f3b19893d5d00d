"""What the names of files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.errors import ConfigError
from roadmask.streaming.batch.patterns import NameParts, Pattern


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("{drive}/{camera}_{chapter}.mp4", "x/d/front_left_0001.mp4", NameParts("d", "front_left", "0001")),
        ("{drive}/{camera}_{chapter}.mp4", "d/front.mp4", None),
        ("{drive}_{chapter}_{camera}.mp4", "20240131_120000_F.MP4", NameParts("20240131", "F", "120000")),
        ("{drive}.mkv", "a/b/c.mkv", NameParts("c")),
        ("*_{drive}/*/{camera}.avi", "car7_d/raw/roof.avi", NameParts("d", "roof")),
        ("{drive}/{camera}.mp4", "front.mp4", None),
        ("{drive}/a(b).mp4", "d/a(b).mp4", NameParts("d")),
    ],
)
def test_patterns_read_paths(pattern: str, path: str, parts: NameParts | None) -> None:
    assert Pattern(pattern).match(Path(path).parts) == parts


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{camera}.mp4", "{drive} is missing"),
        ("{drive}/{cam}.mp4", "no field {cam}"),
        ("{drive}/{drive}.mp4", "twice"),
        ("{drive}/{camera.mp4", "brace"),
    ],
)
def test_patterns_that_cannot_be_used(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pattern(pattern)
