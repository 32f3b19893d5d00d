"""What is said of stores is what was measured. No test looks at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.store.__main__ import app
from benchmarks.store.measuring import StoreBenchmark, benchmark_stores, write_mots
from roadmask.engines import RleMasks
from roadmask.engines.errors import InputError
from roadmask.streaming.store import check_drive, open_drive

SIZE = (90, 160)


def mots_folder(folder: Path, frames: int = 12) -> Path:
    """Two sequences: a car in every frame, and a pedestrian in every other one of the first."""
    folder.mkdir()
    for name in ("0001", "0002"):
        lines = []
        for t in range(frames):
            dense = np.zeros((2, *SIZE), np.uint8)
            dense[0, 30:50, 10 + t : 40 + t] = 1
            dense[1, 20:60, 100:110] = 1
            masks = RleMasks.from_dense(dense, SIZE)
            rows = [("1001", "1", 0)] + ([("2001", "2", 1)] if name == "0001" and t % 2 else [])
            lines += [f"{t} {i} {c} {SIZE[0]} {SIZE[1]} {masks.coco[n]['counts'].decode()}" for i, c, n in rows]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_mots_become_a_drive_with_every_instance(tmp_path: Path) -> None:
    put_in = write_mots(mots_folder(tmp_path / "mots"), tmp_path / "drive.zarr")
    drive = open_drive(tmp_path / "drive.zarr")
    assert put_in == 12 + 6 + 12
    assert [len(drive[name]) for name in drive] == [12, 12]
    assert [len(drive["0001"].track(track)) for track in (1001, 2001)] == [12, 6]
    assert drive["0001"].id_map(1)[40, 105] == 2001
    assert not check_drive(tmp_path / "drive.zarr").problems


def test_a_store_is_measured_whole(tmp_path: Path) -> None:
    path = tmp_path / "drive.zarr"
    write_mots(mots_folder(tmp_path / "mots"), path)
    [record] = benchmark_stores([path], StoreBenchmark(reads=5))
    assert (record["frames"], record["instances"]) == (24, 30)
    assert record["stored_bytes"] == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert record["raw_bytes"] == 24 * 90 * 160 * 4
    assert record["share"] == pytest.approx(record["stored_bytes"] / record["raw_bytes"], abs=1e-6)
    drive = open_drive(path)
    own = [
        sum(len(seen.mask.counts[0]) for seen in drive[name].track(track))
        for name, track in (("0001", 1001), ("0001", 2001), ("0002", 1001))
    ]
    assert record["track_bytes_own"] == np.median(own)
    assert record["track_bytes_read"] > 0


def test_limits_decide_the_exit_code(tmp_path: Path) -> None:
    folder = mots_folder(tmp_path / "mots")
    command = [str(folder), "--reads", "2", "--json", str(tmp_path / "store.json")]
    assert CliRunner().invoke(app, [*command, "--share-max", "1000"]).exit_code == 0
    missed = CliRunner().invoke(app, [*command, "--share-max", "0"])
    assert missed.exit_code == 1
    assert "share is" in missed.output
    document = json.loads((tmp_path / "store.json").read_text())
    assert set(document) == {"machine", "versions", "results"}
    assert document["results"][0]["source"] == "mots"


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        benchmark_stores([tmp_path / "nowhere"], StoreBenchmark())
