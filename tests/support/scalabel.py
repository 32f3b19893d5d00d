"""Masks over time in scalabel's JSON, as data of the measures."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from roadmask.evaluation.tracks.sequence_data import SequenceData

Label = dict[str, Any]


def read_scalabel(truth: Path, results: Path) -> list[SequenceData]:
    """One class after the other; detections that match nothing and lie in a crowd are left out, as scalabel does."""
    true_frames, found_frames = _frames(truth), _frames(results)
    assert set(true_frames) == set(found_frames)
    every = [label for frames in (true_frames, found_frames) for labels in frames.values() for label in labels]
    data = []
    for name in sorted({label["category"] for label in every}):
        columns: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for frame in sorted(true_frames):
            for column, value in zip(columns, _frame(true_frames[frame], found_frames[frame], name), strict=True):
                column.append(value)
        data.append(SequenceData("all", name, *map(tuple, columns)))
    return data


def _frames(path: Path) -> dict[tuple[str, int], list[Label]]:
    frames: dict[tuple[str, int], list[Label]] = defaultdict(list)
    for frame in json.loads(path.read_text()):
        frames[frame["videoName"], frame["frameIndex"]] += frame["labels"] or []
    return frames


def _frame(
    true: list[Label], found: list[Label], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    crowds = [label["rle"] for label in true if label["attributes"]["crowd"]]
    true = [label for label in true if label["category"] == name and not label["attributes"]["crowd"]]
    found = [label for label in found if label["category"] == name]
    iou = _iou(true, found)
    close = np.where(iou >= 0.5, iou, 0)
    rows, columns = linear_sum_assignment(-close)
    matched = set(columns[close[rows, columns] > 0].tolist())
    inside = np.zeros(len(found), bool)
    if crowds and found:
        shares = np.asarray(coco_mask.iou([each["rle"] for each in found], crowds, [True] * len(crowds)))
        inside = (shares > 0.5).any(axis=1)
    kept = np.array([n for n in range(len(found)) if n in matched or not inside[n]], np.intp)
    ids = np.array([int(each["id"]) for each in found], np.int64)
    return np.array([int(each["id"]) for each in true], np.int64), ids[kept], iou[:, kept]


def _iou(true: list[Label], found: list[Label]) -> NDArray[np.float64]:
    if not true or not found:
        return np.zeros((len(true), len(found)))
    a, b = [each["rle"] for each in found], [each["rle"] for each in true]
    return np.asarray(coco_mask.iou(a, b, [False] * len(b)), np.float64).T
