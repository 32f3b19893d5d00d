"""KITTI MOTS ground truth as tracker input, and how well ids were kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks

COCO_LABELS = {1: 3, 2: 1}  # KITTI's car and pedestrian; 10 marks regions to ignore


@dataclass(frozen=True)
class TruthFrame:
    true_ids: NDArray[np.int64]
    instances: Instances


def read_mots(path: Path, seed: int = 0) -> list[TruthFrame]:
    """Reads one sequence; rows are shuffled within a frame, as the file has them sorted by the id to be found."""
    rows: dict[int, list[tuple[int, int, bytes]]] = defaultdict(list)
    for line in path.read_text(encoding="ascii").splitlines():
        number, true_id, kind, height, width, counts = line.split()
        size = int(height), int(width)
        if int(kind) in COCO_LABELS:
            rows[int(number)].append((int(true_id), COCO_LABELS[int(kind)], counts.encode()))
    order = np.random.default_rng(seed)
    return [_truth_frame([rows[n][i] for i in order.permutation(len(rows[n]))], size) for n in range(max(rows) + 1)]


def _truth_frame(rows: list[tuple[int, int, bytes]], size: tuple[int, int]) -> TruthFrame:
    masks = RleMasks.from_coco([counts for _, _, counts in rows], size)
    boxes = np.zeros((len(rows), 4), np.float32)
    for box, dense in zip(boxes, masks.dense(), strict=True):
        y, x = np.flatnonzero(dense.any(axis=1)), np.flatnonzero(dense.any(axis=0))
        box[:] = x[0], y[0], x[-1] + 1, y[-1] + 1
    return TruthFrame(
        np.array([true_id for true_id, _, _ in rows], np.int64),
        Instances(
            size, boxes, np.ones(len(rows), np.float32), np.array([label for _, label, _ in rows], np.int64), masks
        ),
    )


@dataclass(frozen=True)
class IdQuality:
    idf1: float
    """Ristani et al. 2016, on instances that are known to be the same, so no box or mask matching is needed."""
    switches: int
    """How often a true id is given another id than when it was last given one."""


def id_quality(true_ids: list[NDArray[np.int64]], given_ids: list[NDArray[np.int64]]) -> IdQuality:
    """Compares given ids with true ones, frame by frame and row by row; a given id of 0 is none."""
    together: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    switches = 0
    for truth, given in zip(true_ids, given_ids, strict=True):
        for a, b in zip(truth.tolist(), given.tolist(), strict=True):
            if b:
                together[a, b] += 1
                switches += last.setdefault(a, b) != b
                last[a] = b
    rows = {a: n for n, a in enumerate(sorted({a for a, _ in together}))}
    columns = {b: n for n, b in enumerate(sorted({b for _, b in together}))}
    counts = np.zeros((len(rows), len(columns)))
    for (a, b), count in together.items():
        counts[rows[a], columns[b]] = count
    best = counts[linear_sum_assignment(counts, maximize=True)].sum()
    instances = sum(len(truth) for truth in true_ids)
    return IdQuality(float(2 * best / (instances + sum(together.values()))), switches)
