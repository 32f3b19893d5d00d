"""What a run looks like: its losses, learning rate and mask AP as a plot, and what its weights find on a few images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.engines.segmenter import Image
from roadmask.training.losses import LOSSES
from roadmask.training.samples import TrainingImage
from roadmask.training.validation import segment

_SMOOTHED = 0.02
"""Share of the run over which losses are averaged."""
_TILE_WIDTH = 480
_COLOURS = {1: (255, 120, 60), 3: (60, 170, 255)}
_OTHER = (120, 220, 120)


def plot_curves(metrics: Path, out: Path) -> None:
    """Draws the losses, the learning rate and mask AP of a run.

    Args:
        metrics: `metrics.jsonl` of the run.
        out: PNG to write.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only where it is drawn

    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return
    steps = np.array([row["step"] for row in rows])
    figure = Figure(figsize=(10, 7), layout="constrained")
    losses, precision = figure.subplots(2, 1, sharex=True)
    window = max(round(len(rows) * _SMOOTHED), 1)
    total = np.zeros(len(rows))
    for name in LOSSES:
        values = np.array([row[name] for row in rows])
        total += values
        losses.plot(steps, _smoothed(values, window), label=name.replace("_", " "), linewidth=1)
    losses.plot(steps, _smoothed(total, window), label="sum", color="black", linewidth=1.5)
    losses.set(ylabel="loss", ylim=(0, None), title=f"{len(rows)} steps, losses averaged over {window}")
    losses.legend(ncols=3, fontsize=8)
    rate = losses.twinx()
    rate.plot(steps, [row["rate"] for row in rows], color="grey", linestyle=":", linewidth=1)
    rate.set_ylabel("learning rate (dotted)")
    measured = [row for row in rows if "ap" in row]
    for name in dict.fromkeys(name for row in measured for name in row["ap"]):
        x = [row["step"] for row in measured]
        y = [row["ap"].get(name, np.nan) for row in measured]
        wide = name == "all"
        precision.plot(
            x, y, "o-", label=name, color="black" if wide else None, linewidth=2 if wide else 1, markersize=4
        )
    precision.set(xlabel="step", ylabel="mask AP, validation images", ylim=(0, 1))
    precision.grid(visible=True, alpha=0.3)
    if measured:
        precision.legend(ncols=4, fontsize=8)
    else:
        precision.text(0.5, 0.5, "no validation images", transform=precision.transAxes, ha="center")
    figure.savefig(out, dpi=110)


def draw_predictions(
    model: MaskRCNN,
    weights: Mapping[str, Tensor],
    class_names: Mapping[int, str],
    category_ids: Sequence[int],
    images: Sequence[TrainingImage],
    input_size: tuple[int, int],
    out: Path,
) -> None:
    """Draws the labels of a few images, and what trained weights find beside them.

    Args:
        model: of the weights; it holds them afterwards.
        weights: a state dict.
        class_names: category id -> name of the model's classes.
        category_ids: COCO category id of each of the model's labels, background first.
        images: up to eight are drawn, evenly chosen.
        input_size: height and width of the network's input.
        out: PNG to write.
    """
    if not images:
        return
    model.load_state_dict(dict(weights))
    model.eval()
    rows = []
    for place in np.unique(np.linspace(0, len(images) - 1, 8).round().astype(int)).tolist():
        labelled = images[place]
        image = labelled.read()
        objects = [each for each in labelled.objects if not each.crowd]
        truth = Instances(
            labelled.size,
            np.array([each.box for each in objects], np.float32).reshape(-1, 4),
            np.ones(len(objects), np.float32),
            np.array([each.category_id for each in objects], np.int64),
            RleMasks(tuple(each.counts for each in objects), labelled.size),
        )
        found = segment(model, category_ids, image, input_size, score_min=0.5)
        tiles = [_tile(image, truth, class_names, "labels"), _tile(image, found, class_names, "found, score 0.5")]
        rows.append(np.hstack(tiles))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0))) for row in rows]
    cv2.imwrite(str(out), np.vstack(padded)[..., ::-1])


def _tile(image: Image, instances: Instances, class_names: Mapping[int, str], title: str) -> Image:
    canvas = image.copy()
    assert instances.masks is not None  # noqa: S101 - both kinds have masks
    for mask, category in zip(instances.masks.to_rle().dense(), instances.category_ids.tolist(), strict=True):
        colour = np.array(_COLOURS.get(category, _OTHER))
        canvas[mask] = (canvas[mask] * 0.5 + colour * 0.5).astype(np.uint8)
    scale = _TILE_WIDTH / canvas.shape[1]
    size = (_TILE_WIDTH, max(round(canvas.shape[0] * scale), 1))
    tile = np.asarray(
        cv2.resize(canvas, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )
    for box, category, score in zip(
        instances.boxes, instances.category_ids.tolist(), instances.scores.tolist(), strict=True
    ):
        x, y = (box[:2] * scale).round().astype(int).tolist()
        text = class_names[category] if score == 1 else f"{class_names[category]} {score:.2f}"
        cv2.putText(tile, text, (x, max(y - 2, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.rectangle(tile, (0, 0), (9 * len(title), 16), (0, 0, 0), -1)
    cv2.putText(tile, title, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def _smoothed(values: np.ndarray, window: int) -> np.ndarray:
    if window < 2 or len(values) < window:
        return values
    kernel = np.ones(window)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
