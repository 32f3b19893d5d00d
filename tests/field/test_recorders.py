"""Folders as recorders leave them: which files make which drive."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.batch.patterns import Pattern


def touch(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def grouped(folder: Path, *patterns: str) -> dict[str, dict[str, str]]:
    """Drive -> camera -> its only file, relative to the folder."""
    found = {}
    for drive in find_drives([str(folder)], patterns=[Pattern(text) for text in patterns]).drives:
        found[drive.name] = {
            camera: " ".join(str(path.relative_to(folder)) for path in paths) for camera, paths in drive.cameras.items()
        }
    return found


VIOFO = ["2026_0118_144124_000001F.MP4", "2026_0118_144124_000002I.MP4", "2026_0118_144124_000003R.MP4"]
RECORDERS = {
    "Viofo, a counter for each channel": (
        VIOFO,
        {"2026_0118_144124": {"front": VIOFO[0], "interior": VIOFO[1], "rear": VIOFO[2]}},
    ),
    "Viofo, front and rear": (
        ["2026_0118_144124_000001F.MP4", "2026_0118_144124_000002R.MP4", "2026_0118_144224_000003F.MP4"],
        {
            "2026_0118_144124": {"front": "2026_0118_144124_000001F.MP4", "rear": "2026_0118_144124_000002R.MP4"},
            "2026_0118_144224_000003": {"front": "2026_0118_144224_000003F.MP4"},
        },
    ),
    "Viofo, one counter for all": (
        ["2026_0118_144124_0001F.MP4", "2026_0118_144124_0001R.MP4"],
        {"2026_0118_144124_0001": {"front": "2026_0118_144124_0001F.MP4", "rear": "2026_0118_144124_0001R.MP4"}},
    ),
    "Viofo, parking, telephoto, no mark between date and time": (
        ["20260624093914_000001PF.MP4", "20260624093914_000002PT.MP4"],
        {
            "20260624093914": {
                "front": "20260624093914_000001PF.MP4",
                "telephoto": "20260624093914_000002PT.MP4",
            }
        },
    ),
    "Viofo without a counter": (
        ["2026_0118_144124_F.MP4", "2026_0118_144124_PR.MP4"],
        {"2026_0118_144124": {"front": "2026_0118_144124_F.MP4", "rear": "2026_0118_144124_PR.MP4"}},
    ),
    "cameras that begin a second after each other": (
        ["2024_0131_120000_001F.MP4", "2024_0131_120001_001R.MP4", "2024_0131_120004_002F.MP4"],
        {
            "2024_0131_120000_001": {"front": "2024_0131_120000_001F.MP4", "rear": "2024_0131_120001_001R.MP4"},
            "2024_0131_120004_002": {"front": "2024_0131_120004_002F.MP4"},
        },
    ),
    "clips of one camera that begin a second after each other": (
        ["240131_120000_001_FH.MP4", "240131_120001_002_FH.MP4"],
        {
            "240131_120000_001": {"front": "240131_120000_001_FH.MP4"},
            "240131_120001_002": {"front": "240131_120001_002_FH.MP4"},
        },
    ),
    "70mai": (
        ["NO20240131-120000-000001F.MP4", "NO20240131-120000-000002B.MP4"],
        {"NO20240131-120000": {"front": "NO20240131-120000-000001F.MP4", "rear": "NO20240131-120000-000002B.MP4"}},
    ),
    "70mai, folders": (
        ["Normal/Front/NO20240131-120000-000001F.MP4", "Normal/Back/NO20240131-120000-000001B.MP4"],
        {
            "Normal_NO20240131-120000-000001": {
                "front": "Normal/Front/NO20240131-120000-000001F.MP4",
                "rear": "Normal/Back/NO20240131-120000-000001B.MP4",
            }
        },
    ),
    "Vantrue, three lenses": (
        [f"20240131_120000_0001_N_{lens}.MP4" for lens in "ABC"],
        {
            "20240131_120000_0001": {
                "front": "20240131_120000_0001_N_A.MP4",
                "interior": "20240131_120000_0001_N_B.MP4",
                "rear": "20240131_120000_0001_N_C.MP4",
            }
        },
    ),
    "Novatek": (
        ["2024_0131_120000_001A.MP4", "2024_0131_120000_001B.MP4"],
        {"2024_0131_120000_001": {"front": "2024_0131_120000_001A.MP4", "rear": "2024_0131_120000_001B.MP4"}},
    ),
    "RedTiger": (
        ["Movie_F/20240131120000_000001F.MP4", "Movie_R/20240131120000_000002R.MP4"],
        {
            "Movie_20240131120000": {
                "front": "Movie_F/20240131120000_000001F.MP4",
                "rear": "Movie_R/20240131120000_000002R.MP4",
            }
        },
    ),
    "Wolfbox": (
        ["2024_01_31_120000_00_f.MP4", "2024_01_31_120000_00_b.MP4"],
        {"2024_01_31_120000_00": {"front": "2024_01_31_120000_00_f.MP4", "rear": "2024_01_31_120000_00_b.MP4"}},
    ),
    "Wolfbox, folders": (
        [f"{side}_norm/2024_01_31_120000_00_{letter}.MP4" for side, letter in (("front", "F"), ("extra", "I"))],
        {
            "norm_2024_01_31_120000_00": {
                "front": "front_norm/2024_01_31_120000_00_F.MP4",
                "interior": "extra_norm/2024_01_31_120000_00_I.MP4",
            }
        },
    ),
    "BlackVue": (
        ["20240131_120000_TF.mp4", "20240131_120000_TR.mp4", "20240131_120100_NF.mp4", "20240131_120100_NO.mp4"],
        {
            "20240131_120000": {"front": "20240131_120000_TF.mp4", "rear": "20240131_120000_TR.mp4"},
            "20240131_120100": {"front": "20240131_120100_NF.mp4", "interior": "20240131_120100_NO.mp4"},
        },
    ),
    "BlackVue, two modes at one moment": (
        ["20240131_120000_NF.mp4", "20240131_120000_EF.mp4"],
        {
            "20240131_120000": {"front": "20240131_120000_EF.mp4"},
            "20240131_120000_N": {"front": "20240131_120000_NF.mp4"},
        },
    ),
    "SStar": (
        ["Normal/F/20240131_120000.ts", "Normal/R/20240131_120000.ts"],
        {
            "Normal_20240131_120000": {
                "front": "Normal/F/20240131_120000.ts",
                "rear": "Normal/R/20240131_120000.ts",
            }
        },
    ),
    "SStar, channels": (
        ["CH1/CH1-20240131-120000.ts", "CH2/CH2-20240131-120000.ts"],
        {"20240131-120000": {"ch1": "CH1/CH1-20240131-120000.ts", "ch2": "CH2/CH2-20240131-120000.ts"}},
    ),
    "Nextbase without twins of high resolution": (
        ["240131_120000_001_FL.MP4"],
        {"240131_120000_001": {"front": "240131_120000_001_FL.MP4"}},
    ),
    "CarCam": (
        [f"REC20240131-120000-527-{lens}.mp4" for lens in "AB"],
        {
            "REC20240131-120000-527": {
                "front": "REC20240131-120000-527-A.mp4",
                "rear": "REC20240131-120000-527-B.mp4",
            }
        },
    ),
    "two recorders in one folder": (
        ["20240131_120000_F.mp4", "20240131_120000_R.mp4", "NO20240131-120000F.MP4", "NO20240131-120000B.MP4"],
        {
            "20240131_120000": {"front": "20240131_120000_F.mp4", "rear": "20240131_120000_R.mp4"},
            "NO20240131-120000": {"front": "NO20240131-120000F.MP4", "rear": "NO20240131-120000B.MP4"},
        },
    ),
    "two cameras at the back": (
        [f"20240131_120000_{letter}.mp4" for letter in "FRB"],
        {
            "20240131_120000": {
                "front": "20240131_120000_F.mp4",
                "rear": "20240131_120000_R.mp4",
                "rear_b": "20240131_120000_B.mp4",
            }
        },
    ),
    "UltraDash": (
        [f"20240131_120000_{letter}.mp4" for letter in "LRB"],
        {
            "20240131_120000": {
                "left": "20240131_120000_L.mp4",
                "rear": "20240131_120000_B.mp4",
                "right": "20240131_120000_R.mp4",
            }
        },
    ),
    "Vueroid": (
        ["20240131_120000_INF_F_N.mp4", "20240131_120000_INF_I_N.mp4"],
        {"20240131_120000": {"front": "20240131_120000_INF_F_N.mp4", "interior": "20240131_120000_INF_I_N.mp4"}},
    ),
    "DDPai": (
        ["20240131120000_0060.mp4", "20240131120000_0060_A.mp4", "20240131120100_0060.mp4"],
        {
            "20240131120000_0060": {"front": "20240131120000_0060.mp4", "rear": "20240131120000_0060_A.mp4"},
            "20240131120100_0060": {"20240131120100_0060": "20240131120100_0060.mp4"},
        },
    ),
    "KITTI raw": (
        [f"sync/image_0{n}/data/000.png" for n in (2, 3)],
        {"sync": {"image_02": "sync/image_02/data", "image_03": "sync/image_03/data"}},
    ),
    "nuScenes": (
        ["samples/CAM_FRONT/a.jpg", "samples/CAM_BACK_LEFT/a.jpg"],
        {"samples": {"CAM_BACK_LEFT": "samples/CAM_BACK_LEFT", "CAM_FRONT": "samples/CAM_FRONT"}},
    ),
    "Tesla with another video in the folder": (
        ["ev/2024-01-31_12-00-00-front.mp4", "ev/2024-01-31_12-01-00-front.mp4", "ev/event.mp4"],
        {
            "ev": {"front": "ev/2024-01-31_12-00-00-front.mp4 ev/2024-01-31_12-01-00-front.mp4"},
            "ev_event": {"event": "ev/event.mp4"},
        },
    ),
    "folders that are no recorder's keep their files apart": (
        ["A/20240131_120000_F.mp4", "B/20240131_120000_F.mp4", "left/a.mp4"],
        {
            "A_20240131_120000": {"front": "A/20240131_120000_F.mp4"},
            "B_20240131_120000": {"front": "B/20240131_120000_F.mp4"},
            "left_a": {"a": "left/a.mp4"},
        },
    ),
    "one name in the folders of two cameras": (
        ["Front/clip1.mp4", "Rear/clip1.mp4"],
        {"clip1": {"front": "Front/clip1.mp4", "rear": "Rear/clip1.mp4"}},
    ),
    "other alphabets": (
        ["走行.mp4", "фильм1.mp4", "Übung.mp4", "🚗.mp4"],
        {
            "drive_527b0eee": {"camera": "🚗.mp4"},
            "Übung": {"Ubung": "Übung.mp4"},
            "фильм1": {"camera_1": "фильм1.mp4"},
            "走行": {"camera": "走行.mp4"},
        },
    ),
}


@pytest.mark.parametrize(("names", "expected"), RECORDERS.values(), ids=RECORDERS.keys())
def test_the_cameras_of_a_recorder_belong_together(
    tmp_path: Path, names: list[str], expected: dict[str, dict[str, str]]
) -> None:
    touch(tmp_path, names)
    assert grouped(tmp_path) == expected


def test_folders_of_channels_are_joined_when_each_is_given(tmp_path: Path) -> None:
    touch(tmp_path, ["Movie_F/20240131120000_000001F.MP4", "Movie_R/20240131120000_000002R.MP4"])
    (drive,) = find_drives([str(tmp_path / "Movie_F"), str(tmp_path / "Movie_R")]).drives
    assert (drive.name, list(drive.cameras)) == ("20240131120000", ["front", "rear"])


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        (
            [f"240131_120000_001_{channel}.MP4" for channel in ("FH", "RH", "FL", "RL")],
            {
                "240131_120000_001_FL.MP4": "it is a copy of 240131_120000_001_FH.MP4 in low resolution",
                "240131_120000_001_RL.MP4": "it is a copy of 240131_120000_001_RH.MP4 in low resolution",
            },
        ),
        (
            ["GX010123.MP4", "GL010123.LRV", "DJI_1.MP4", "DJI_1.LRF", "GL010124.LRV"],
            {
                "GL010123.LRV": "it is a copy of GX010123.MP4 in low resolution",
                "DJI_1.LRF": "it is a copy of DJI_1.MP4 in low resolution",
            },
        ),
        (
            ["VID_20240131_120000_00_001.insv", "LRV_20240131_120000_01_001.insv"],
            {"LRV_20240131_120000_01_001.insv": "it is a copy of VID_20240131_120000_00_001.insv in low resolution"},
        ),
    ],
)
def test_copies_of_low_resolution_are_left_out(tmp_path: Path, names: list[str], left_out: dict[str, str]) -> None:
    touch(tmp_path, names)
    found = find_drives([str(tmp_path)])
    assert {path.name: reason for path, reason in found.left_out.items()} == left_out
    recorded = {path.name for drive in found.drives for paths in drive.cameras.values() for path in paths}
    assert recorded == set(names) - set(left_out)


@pytest.mark.parametrize("pattern", ["{drive}_{chapter}_{camera}.mp4", "{drive}_{chapter}{camera}.mp4"])
def test_the_recipe_of_the_manual_makes_one_drive_of_each_day(tmp_path: Path, pattern: str) -> None:
    manual = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "many-drives.md"
    assert "'{drive}_{chapter}_{camera}.mp4'" in manual.read_text(encoding="utf-8")
    touch(tmp_path, [*VIOFO, "2026_0118_144224_000004F.MP4", "2026_0119_080000_000005F.MP4"])
    assert grouped(tmp_path, pattern) == {
        "2026_0118": {"F": f"{VIOFO[0]} 2026_0118_144224_000004F.MP4", "I": VIOFO[1], "R": VIOFO[2]},
        "2026_0119": {"F": "2026_0119_080000_000005F.MP4"},
    }
