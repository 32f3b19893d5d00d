"""Writes sequences of KITTI with one car at a known distance."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from roadmask.engines import RleMasks


def made_up(folder: Path, name: str, depth: float) -> None:
    """Writes a sequence of two frames with one car whose rear is `depth` m ahead."""
    for part in ("masks", "calibration", "gt"):
        (folder / part).mkdir(exist_ok=True)
    mask = np.zeros((1, 375, 1242), np.uint8)
    top, bottom = (round(172.85 + 721.5 * (1.65 - height) / (depth + 0.65)) for height in (1.54, 0))
    mask[0, top : bottom + 1, 600:660] = 1
    counts = RleMasks.from_dense(mask).counts[0].decode()
    rows = [f"{frame} 1001 1 375 1242 {counts}" for frame in range(2)]
    (folder / "masks" / f"{name}.txt").write_text("\n".join(rows) + "\n")
    (folder / "calibration" / f"{name}.txt").write_text("P2: 721.5 0 609.6 0 0 721.5 172.85 0 0 0 1 0\n")
    # 4 m long, seen from behind: its middle is 2 m beyond its rear
    label = f"Car 0 0 0 600 {top} 660 {bottom + 1} 1.54 1.8 4.0 0.3 1.65 {depth + 2} {-math.pi / 2}"
    (folder / "gt" / f"{name}.txt").write_text("".join(f"{frame} 1 {label}\n" for frame in range(2)))
