"""`roadmask check`: what it says of good stores and of damaged ones."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_check_passes_on_a_good_store(roadmask_cli, drive: Path) -> None:
    code, printed = roadmask_cli("check", drive)
    assert code == 0
    assert "is not damaged" in printed
    assert "100 frames" in printed


def test_check_names_the_broken_shard(roadmask_cli, drive: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    subprocess.run(["cp", "-r", str(drive), str(broken)], check=True)
    shard = next((broken / "front/0/id_map").glob("c.*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    code, printed = roadmask_cli("check", broken)
    assert code == 4
    assert f"id_map/{shard.name}" in printed
