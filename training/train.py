"""Trains weights: folders of labelled images in, one weights file out. What `roadmask train` calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from safetensors.torch import save_file

import roadmask
from roadmask.engines.errors import ConfigError, InputError, StoreError
from roadmask.engines.files import replacing
from roadmask.engines.networks.weights import Architecture, Weights
from roadmask.engines.openvino.segmenter import has_native_bf16
from roadmask.training.added_classes import with_added_classes
from roadmask.training.checkpoint import newest_checkpoint
from roadmask.training.curves import draw_predictions, plot_curves
from roadmask.training.guard import without_evaluation_images
from roadmask.training.networks import label_of
from roadmask.training.samples import read_training_sets
from roadmask.training.separable import separable_start
from roadmask.training.settings import TrainingSettings
from roadmask.training.split import Split, split_by_drive
from roadmask.training.trainer import Trainer, TrainingProgress, TrainingResult
from roadmask.training.views import ViewSource

WEIGHTS_NAME = "weights.safetensors"


@dataclass(frozen=True)
class TrainedWeights:
    """What a run left in its folder."""

    path: Path
    """The weights file, which `roadmask run --weights` takes. None was written if the run was interrupted."""
    result: TrainingResult
    training_images: int
    validation_images: int
    left_out: int
    """Images left out because they, or other frames of their drives, belong to evaluation sets."""


def train_weights(
    folders: Sequence[Path],
    weights: Weights,
    settings: TrainingSettings,
    out: Path,
    *,
    architecture: Architecture | None = None,
    device: str = "auto",
    resume: bool = False,
    leave_out_evaluation: bool = False,
    command: str = "",
    on_look: Callable[[str, int], Callable[[], None]] = lambda _what, _count: lambda: None,
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedWeights:
    """Trains weights on labelled images.

    A run that is killed at any step and resumed ends with the same bytes, on one kind of processor.

    Args:
        folders: label sets and other training sets, see `read_training_sets`.
        weights: what to start from.
        settings: what decides the result.
        out: folder of the run: weights, checkpoints and metrics.
        architecture: to train, if it is not that of `weights`: lite2 can start from lite, see `separable_start`.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one.
        resume: continue at the newest checkpoint in `out`.
        leave_out_evaluation: leave out images of evaluation sets instead of refusing them.
        command: kept in the metadata of the weights.
        on_look: called before all images are looked at, with what for and how many there are; returns what to call
            after each image.
        on_progress: called after each step.
        stop: asked after each step; the run then ends with a checkpoint.

    Raises:
        InputError: the images, labels or checkpoint cannot be used; the message says why.
        ConfigError: the device or the precision is not available, or the architecture cannot start from the weights.
        RunError: the losses became infinite.
        StoreError: the disk is full or gone.
    """
    chosen = _device(device)
    precision = _precision(settings, chosen)
    out.mkdir(parents=True, exist_ok=True)
    if not resume and (newest_checkpoint(out / "checkpoint") or (out / WEIGHTS_NAME).exists()):
        raise InputError(f"{out} holds a run already: continue it with --resume, or choose another --out.")
    torch.use_deterministic_algorithms(chosen == "cpu")
    torch.set_num_threads(settings.threads or psutil.cpu_count(logical=False) or 1)
    found = read_training_sets(folders, on_look)
    training = without_evaluation_images(
        found, leave_out=leave_out_evaluation, on_image=on_look("Looking for evaluation images", len(found.images))
    )
    split = split_by_drive(
        training, settings.validation_share, on_look("Grouping images by drive", len(training.images))
    )
    if architecture is not None and architecture is not weights.architecture:
        weights = _converted(weights, architecture, split, settings, out, on_look)
    weights = with_added_classes(weights, training.class_names, out / "start-classes.safetensors", settings.seed)
    trainer = Trainer(weights, split, training.digest, settings, out, device=chosen, precision=precision, resume=resume)
    result = trainer.run(on_progress, stop)
    path = out / WEIGHTS_NAME
    if result.finished:
        about = {
            "roadmask": roadmask.__version__,
            "architecture": weights.architecture.value,
            "classes": training.class_names,
            "added_classes": [list(each) for each in weights.added_classes],
            "label_versions": training.label_versions,
            "images_sha256": training.digest,
            "from_sha256": weights.sha256,
            "steps": result.steps,
            "best_step": result.best_step,
            "ap": result.ap,
            "settings": settings.identity(),
            "command": command,
        }
        # One entry: safetensors writes several in an order that differs from file to file.
        described = {"roadmask": json.dumps(about, sort_keys=True)}
        try:
            with replacing(path, sync=True) as partial:
                save_file(
                    {name: value.cpu().contiguous() for name, value in result.weights.items()}, partial, described
                )
        except OSError as error:
            raise StoreError(
                f"cannot write {path} ({error.strerror}): make room and run again with --resume."
            ) from error
    draw_run(trainer, split, result, out)
    left_out = len(found.images) - len(training.images)
    return TrainedWeights(path, result, len(split.training), len(split.validation), left_out)


def _converted(
    weights: Weights,
    architecture: Architecture,
    split: Split,
    settings: TrainingSettings,
    out: Path,
    on_look: Callable[[str, int], Callable[[], None]],
) -> Weights:
    if (weights.architecture, architecture) != (Architecture.LITE, Architecture.LITE2):
        raise ConfigError(
            f"expected --from to be weights of {architecture.value}, got {weights.architecture.value}: give "
            f"--architecture {weights.architecture.value}."
        )
    labels = label_of(weights, list(weights.class_names))
    path = out / "start.safetensors"
    return separable_start(
        weights, ViewSource(split.training, settings).__getitem__, labels, path, on_look("Fitting separable layers", 9)
    )


def draw_run(trainer: Trainer, split: Split, result: TrainingResult, out: Path) -> None:
    """Draws `curves.png` and `predictions.png` into the folder of a run."""
    plot_curves(out / "metrics.jsonl", out / "curves.png")
    shown = split.validation or split.training
    draw_predictions(
        trainer.network.model,
        result.weights,
        trainer.class_names,
        trainer.category_ids,
        shown,
        trainer.settings.input_size,
        out / "predictions.png",
    )


def _device(asked: str) -> str:
    if asked not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"expected the device auto, cpu or cuda, got {asked!r}.")
    if asked == "cuda" and not torch.cuda.is_available():
        raise ConfigError("expected a CUDA GPU that torch can use, found none: train with --device cpu.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked


def _precision(settings: TrainingSettings, device: str) -> str:
    asked = settings.precision
    if asked == "auto":
        return "bf16" if device == "cuda" or has_native_bf16() else "fp32"
    if asked == "fp16" and device == "cpu":
        raise ConfigError("fp16 is for GPUs: choose bf16 or fp32 on a CPU.")
    return asked
