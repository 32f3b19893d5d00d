"""Which files make which drive, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.batch.patterns import Pattern


def files(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, *patterns: str) -> dict[str, dict[str, list[str]]]:
    drives = find_drives([str(folder)], patterns=[Pattern(text) for text in patterns]).drives
    return {
        drive.name: {camera: [path.name for path in paths] for camera, paths in drive.cameras.items()}
        for drive in drives
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # a flat folder: one drive each, called as `run` calls its camera; other files do not matter
        (["b.mp4", "a 1.mkv", "notes.txt"], {"a_1": {"a_1": ["a 1.mkv"]}, "b": {"b": ["b.mp4"]}}),
        # numbers alone are no chapters: nothing says that they belong together
        (["0001.mp4", "0002.mp4"], {"0001": {"0001": ["0001.mp4"]}, "0002": {"0002": ["0002.mp4"]}}),
        # a folder for each drive: cameras
        (
            ["d1/front.mp4", "d1/rear_left.mp4", "d2/cam0.mp4"],
            {"d1": {"front": ["front.mp4"], "rear_left": ["rear_left.mp4"]}, "d2": {"cam0": ["cam0.mp4"]}},
        ),
        # chapters, sorted as people count
        (
            ["d/front_10.mp4", "d/front_9.mp4", "d/front_0001.mp4", "d/rear.mp4"],
            {"d": {"front": ["front_0001.mp4", "front_9.mp4", "front_10.mp4"], "rear": ["rear.mp4"]}},
        ),
        # Tesla: the time in front of the camera is the chapter
        (
            [
                f"ev/2024-01-31_12-0{minute}-00-{camera}.mp4"
                for minute in (1, 0)
                for camera in ("front", "left_repeater")
            ],
            {
                "ev": {
                    "front": ["2024-01-31_12-00-00-front.mp4", "2024-01-31_12-01-00-front.mp4"],
                    "left_repeater": [
                        "2024-01-31_12-00-00-left_repeater.mp4",
                        "2024-01-31_12-01-00-left_repeater.mp4",
                    ],
                }
            },
        ),
        # one name that is no camera makes each file a drive of its own
        (
            ["d/front.mp4", "d/holiday.mp4"],
            {"d_front": {"front": ["front.mp4"]}, "d_holiday": {"holiday": ["holiday.mp4"]}},
        ),
        # dashcams: date_time_F, and the forms of three makers
        (
            ["20240131_120000_F.mp4", "20240131_120000_R.mp4", "20240131_120100_F.mp4"],
            {
                "20240131_120000": {"front": ["20240131_120000_F.mp4"], "rear": ["20240131_120000_R.mp4"]},
                "20240131_120100": {"front": ["20240131_120100_F.mp4"]},
            },
        ),
        (
            ["20240131_120000_0001F.MP4", "20240131_120000_0001R.MP4"],
            {
                "20240131_120000_0001": {
                    "front": ["20240131_120000_0001F.MP4"],
                    "rear": ["20240131_120000_0001R.MP4"],
                }
            },
        ),
        (
            ["20240131_120000_NF.mp4", "20240131_120000_NI.mp4"],
            {"20240131_120000": {"front": ["20240131_120000_NF.mp4"], "interior": ["20240131_120000_NI.mp4"]}},
        ),
        (
            ["REC_2024_01_31_12_00_00_F.MP4", "REC_2024_01_31_12_00_00_R.MP4"],
            {
                "REC_2024_01_31_12_00_00": {
                    "front": ["REC_2024_01_31_12_00_00_F.MP4"],
                    "rear": ["REC_2024_01_31_12_00_00_R.MP4"],
                }
            },
        ),
        # GoPro: the chapter stands before the number of the recording
        (
            ["GX020123.MP4", "GX010123.MP4", "GX010124.MP4"],
            {"GX0123": {"GX0123": ["GX010123.MP4", "GX020123.MP4"]}, "GX0124": {"GX0124": ["GX010124.MP4"]}},
        ),
        (["GP010007.MP4", "GOPR0007.MP4"], {"GOPR0007": {"GOPR0007": ["GOPR0007.MP4", "GP010007.MP4"]}}),
        # images in a folder
        (["d/front/1.png", "d/rear/1.jpg"], {"d": {"front": ["front"], "rear": ["rear"]}}),
        # stores and hidden files are left alone
        (["a.mp4", "a.zarr/x.mp4", ".trash/b.mp4", ".c.mp4"], {"a": {"a": ["a.mp4"]}}),
    ],
)
def test_usual_names(tmp_path: Path, names: list[str], expected: dict[str, dict[str, list[str]]]) -> None:
    files(tmp_path, names)
    assert found(tmp_path) == expected


def test_a_pattern_names_what_it_leaves_out(tmp_path: Path) -> None:
    files(tmp_path, ["d1/f_1.mp4", "d1/f_2.mp4", "d1/odd.mp4"])
    drives = find_drives([str(tmp_path)], patterns=[Pattern("{drive}/{camera}_{chapter}.mp4")])
    assert [path.name for path in drives.left_out] == ["odd.mp4"]
    assert found(tmp_path, "{drive}/{camera}_{chapter}.mp4") == {"d1": {"f": ["f_1.mp4", "f_2.mp4"]}}


def test_globs_files_and_folders_are_searched_once(tmp_path: Path) -> None:
    files(tmp_path, ["a.mp4", "b.mp4", "c.txt"])
    inputs = [str(tmp_path / "*"), str(tmp_path / "a.mp4"), str(tmp_path)]
    assert [drive.name for drive in find_drives(inputs).drives] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (["notes.txt"], InputError, "no video"),
        (["a.mp4", "a.avi"], InputError, "same camera of drive 'a'"),
        (["x/a.mp4", "x_a.mp4"], InputError, "x_a"),
    ],
)
def test_what_cannot_be_told_apart_is_named(tmp_path: Path, names: list[str], error: type, words: str) -> None:
    files(tmp_path, names)
    with pytest.raises(error, match=words):
        found(tmp_path)


def test_an_input_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        find_drives([str(tmp_path / "nowhere")])


def test_the_folder_of_stores_is_not_searched(tmp_path: Path) -> None:
    files(tmp_path, ["a.mp4", "stores/overlay.mp4"])
    assert [drive.name for drive in find_drives([str(tmp_path)], out=tmp_path / "stores").drives] == ["a"]
