"""The loop: batches in, weights out, checkpoints in between."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from roadmask.engines.errors import RunError, StoreError
from roadmask.engines.networks.weights import Weights
from roadmask.training.checkpoint import (
    Checkpoint,
    newest_checkpoint,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from roadmask.training.losses import LOSSES
from roadmask.training.network_state import NetworkState
from roadmask.training.schedule import Budget, Schedule, ema_decay
from roadmask.training.settings import TrainingSettings
from roadmask.training.split import Split
from roadmask.training.validation import validate
from roadmask.training.views import BatchLoader, ViewSource

VERSION = 1
"""Version of what a step computes. Raise it with every change that gives other weights."""
CHECKPOINT_SECONDS = 120.0
"""Maximum seconds between two checkpoints."""
_METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class TrainingProgress:
    """State of a run after a step."""

    step: int
    """Number of steps done."""
    steps: int | None
    """Number of steps of the whole run; None until a time budget has been measured."""
    losses: dict[str, float]
    """Losses of this step by name, see `LOSSES`."""
    rate: float
    """Learning rate of this step."""
    ap: dict[str, float] | None
    """Mask AP by class and of `all`, 0 to 1, if the step ended with a validation."""


@dataclass
class TrainingResult:
    """Result of a run."""

    steps: int
    """Number of steps done, all resumed runs together."""
    losses: dict[str, float]
    """Losses of the last step."""
    ap: dict[str, float]
    """Mask AP of the weights that are kept, by class and of `all`; empty without validation images."""
    best_step: int
    """Step after which these weights were averaged."""
    finished: bool
    """Whether the run is over; False if it was interrupted and can be resumed."""
    weights: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The averaged weights, fp32."""


class Trainer:
    """Trains one network.

    Args:
        weights: what it starts from.
        split: the labelled images.
        digest: hash of the labelled images; a run is not resumed with others.
        settings: what is asked for.
        out: folder of metrics and checkpoints, which exists.
        device: where to train, `cpu` or `cuda`.
        precision: `fp32`, `bf16` or `fp16`.
        resume: continue at the newest checkpoint in `out`, if there is one.

    Raises:
        InputError: the checkpoint is of other settings, images, weights or code, or is damaged.
        ConfigError: the architecture has no output for a class.
    """

    def __init__(
        self,
        weights: Weights,
        split: Split,
        digest: str,
        settings: TrainingSettings,
        out: Path,
        *,
        device: str = "cpu",
        precision: str = "fp32",
        resume: bool = False,
    ) -> None:
        self.settings, self._split, self._out = settings, split, out
        self.category_ids, self.class_names = weights.category_ids, weights.class_names
        learnt = {each.category_id for image in split.training for each in image.objects if not each.crowd}
        self.network = NetworkState(weights, sorted(learnt), settings, torch.device(device), precision)
        self._views = ViewSource(split.training, settings)
        self._identity: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "version": VERSION,
                    "images": digest,
                    "from": weights.sha256,
                    "architecture": weights.architecture.value,
                    **settings.identity(),
                }
            )
        )
        self._step, self._steps, self._spent_s = 0, settings.steps, 0.0
        self._best_ap, self._best_step, self._ap = -1.0, 0, dict[str, float]()
        self._best: dict[str, Tensor] = {}
        self._worse, self._losses = 0, dict[str, float]()
        if resume and (found := newest_checkpoint(self.checkpoints)) is not None:
            self._restore(found)

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._step

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self._out / "checkpoint"

    def run(
        self, on_progress: Callable[[TrainingProgress], None] = lambda _: None, stop: Callable[[], bool] = lambda: False
    ) -> TrainingResult:
        """Trains to the end, or until `stop` returns True; a checkpoint of the last step is left either way.

        Args:
            on_progress: called after each step.
            stop: asked after each step.

        Raises:
            RunError: the losses became infinite; the newest checkpoint is named.
            StoreError: a checkpoint or the metrics cannot be written.
            InputError: an image cannot be read.
        """
        saved, asked = time.monotonic(), False
        budget = Budget(self.settings.minutes, self._spent_s, validates=bool(self._split.validation))
        with BatchLoader(self._views, self.settings.batch, self._step) as loader:
            while not asked and not self._is_over():
                if self._steps is None:
                    self._steps = budget.steps(self._step)
                rate = self._learn(loader)
                ap = self._validate() if self._is_validation() else None
                self._log(rate, ap)
                on_progress(TrainingProgress(self._step, self._steps, self._losses, rate, ap))
                asked = stop()
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._save(budget)
                    saved = time.monotonic()
        self._save(budget)
        best_step = self._best_step if self._best else self._step
        weights = self._best or self.network.average
        return TrainingResult(self._step, self._losses, self._ap, best_step, self._is_over(), weights)

    def _is_over(self) -> bool:
        patience = self.settings.patience
        return self._step == self._steps or bool(patience and self._worse >= patience)

    def _learn(self, loader: BatchLoader) -> float:
        settings, step = self.settings, self._step
        steps = self._steps or 10**9  # while a time budget is measured, the rate still rises
        rate = Schedule.of(steps, settings.rate * settings.batch / 4).rate_at(step)
        decay = ema_decay(step, settings.average_share, steps)
        losses = self.network.learn(loader.next(), rate, decay, settings.seed * 1_000_003 + step)
        if losses is None:
            last = newest_checkpoint(self.checkpoints)
            raise RunError(
                f"The losses became infinite in step {step} at a learning rate of {rate:.2g}. The last good checkpoint "
                f"is {last or 'none'}. Train with a lower --rate or with --precision fp32."
            )
        self._step, self._losses = step + 1, losses
        return rate

    def _is_validation(self) -> bool:
        if not self._split.validation or self._steps is None:
            return False
        every = max(self._steps // self.settings.validations, 1)
        return self._step == self._steps or (self._step % every == 0 and self._steps - self._step >= every // 2)

    def _validate(self) -> dict[str, float]:
        """Measures the averaged weights, and keeps them if they are the best so far."""
        with self.network.averaged():
            images, size = self._split.validation, self.settings.input_size
            ap = validate(self.network.model, self.class_names, self.category_ids, images, size)
        if ap["all"] > self._best_ap:
            self._best_ap, self._best_step, self._ap, self._worse = ap["all"], self._step, ap, 0
            self._best = {name: value.detach().clone() for name, value in self.network.average.items()}
        else:
            self._worse += 1
        return ap

    def _log(self, rate: float, ap: dict[str, float] | None) -> None:
        row: dict[str, Any] = {"step": self._step, "rate": rate, **self._losses}
        if ap is not None:
            row["ap"] = ap
        try:
            with (self._out / _METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise StoreError(f"cannot write {self._out / _METRICS} ({error.strerror}): make room.") from error

    def _save(self, budget: Budget) -> None:
        tensors = self.network.tensors() | {f"best.{name}": value for name, value in self._best.items()}
        state = {
            "step": self._step,
            "steps": self._steps,
            "spent_s": budget.spent_s,
            "identity": self._identity,
            "best": {"ap": self._best_ap, "step": self._best_step, "by_class": self._ap},
            "worse": self._worse,
            "losses": {name: self._losses.get(name, math.inf) for name in LOSSES} if self._losses else {},
            "tensors": len(tensors),
        }
        write_checkpoint(self.checkpoints, Checkpoint(state, tensors))

    def _restore(self, path: Path) -> None:
        found = read_checkpoint(path)
        state = found.state
        require_same(state["identity"], self._identity, path)
        if self.settings.steps is not None:
            require_same({"steps": state["steps"]}, {"steps": self.settings.steps}, path)
        self.network.restore(found.tensors)
        self._best = {
            name.removeprefix("best."): tensor for name, tensor in found.tensors.items() if name.startswith("best.")
        }
        self._step, self._steps, self._spent_s = state["step"], state["steps"], state["spent_s"]
        best = state["best"]
        self._best_ap, self._best_step, self._ap = best["ap"], best["step"], best["by_class"]
        self._worse, self._losses = state["worse"], state["losses"]
        _drop_rows_after(self._out / _METRICS, self._step)


def _drop_rows_after(metrics: Path, step: int) -> None:
    """Removes what a killed run logged after its last checkpoint, and a line that it left half written."""
    if not metrics.exists():
        return
    kept = []
    for line in metrics.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    metrics.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
