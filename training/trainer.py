"""The loop: views in, weights out, checkpoints in between."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from roadmask.engines.errors import RunError
from roadmask.engines.networks.weights import Weights
from roadmask.training.augment import View, make_view
from roadmask.training.checkpoint import (
    Checkpoint,
    newest_checkpoint,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from roadmask.training.losses import LOSSES, make_batch, mask_rcnn_losses
from roadmask.training.networks import build_network, label_of
from roadmask.training.order import ImageOrder, repeat_factors
from roadmask.training.samples import TrainingImage
from roadmask.training.schedule import Schedule, ema_decay
from roadmask.training.settings import TrainingSettings
from roadmask.training.split import Split
from roadmask.training.validation import validate

VERSION = 1
"""Of what a step computes: a run is not resumed by code of another version."""
CHECKPOINT_SECONDS = 120.0
"""Seconds between checkpoints, at most."""
MEASURED_STEPS = 12
"""Steps after which a time budget becomes a number of steps; the first four, which warm up, are not counted."""


@dataclass(frozen=True)
class Progress:
    """What a run tells after each step."""

    step: int
    """Steps done."""
    steps: int | None
    """Steps in all; None until a time budget has been measured."""
    losses: dict[str, float]
    """Of this step, see `LOSSES`."""
    rate: float
    """Learning rate of this step."""
    seconds_left: float | None
    ap: dict[str, float] | None
    """Mask AP by class and of `all`, after a step that ended with a validation."""


@dataclass
class TrainingResult:
    """What came of a run."""

    steps: int
    """Steps done, all resumed runs together."""
    losses: dict[str, float]
    """Of the last step."""
    ap: dict[str, float]
    """Mask AP of the weights that are kept, by class and of `all`; empty without validation images."""
    best_step: int
    """Step after which these weights were best."""
    stopped_early: bool = False
    """Whether no validation had been better for a while."""
    state: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The averaged weights, fp32."""


class Trainer:
    """Trains one network.

    Args:
        weights: what it starts from.
        split: the labelled images.
        digest: of the labelled images; a run is not resumed with others.
        settings: what is asked for.
        out: folder of metrics and checkpoints.
        device: where to train, `cpu` or `cuda`.
        resume: continue at the newest checkpoint in `out`, if there is one.

    Raises:
        InputError: there is a checkpoint of other settings, images or code.
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
        resume: bool = False,
    ) -> None:
        self.settings, self._split, self._out = settings, split, out
        self._device = torch.device(device)
        self._threads = settings.threads or psutil.cpu_count(logical=False) or 1
        self._categories = weights.architecture.category_ids
        present = {each.category_id for image in split.training for each in image.objects if not each.crowd}
        self._label_of = label_of(weights.architecture, sorted(present))
        self._identity = {
            "version": VERSION,
            "images": digest,
            "from": weights.sha256,
            "architecture": weights.architecture.value,
            **settings.identity(),
        }
        torch.set_num_threads(self._threads)
        self._model = build_network(weights, fresh_heads=settings.fresh_heads, seed=settings.seed).to(self._device)
        self._average = {name: value.detach().clone().float() for name, value in self._model.state_dict().items()}
        self._optimizer = torch.optim.SGD(
            [each for each in self._model.parameters() if each.requires_grad],
            lr=settings.rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=True,
        )
        transform = self._model.transform
        self._mean, self._std = (torch.tensor(each) for each in (transform.image_mean, transform.image_std))
        self._order = ImageOrder(repeat_factors(split.training, settings.repeat_threshold), settings.seed)
        rare = repeat_factors(split.training, 1.0)
        self._paste_odds = (rare - 1) / max(float((rare - 1).sum()), 1e-12)
        self._step, self._steps, self._spent = 0, settings.steps, 0.0
        self._best: tuple[float, int, dict[str, float]] = (-1.0, 0, {})
        self._best_state: dict[str, Tensor] = {}
        self._worse, self._last = 0, dict.fromkeys(LOSSES, math.nan)
        if resume and (found := newest_checkpoint(self._checkpoints)) is not None:
            self._restore(found)

    @property
    def step(self) -> int:
        """Steps done."""
        return self._step

    @property
    def _checkpoints(self) -> Path:
        return self._out / "checkpoint"

    def run(
        self, on_progress: Callable[[Progress], None] = lambda _: None, stop: Callable[[], bool] = lambda: False
    ) -> TrainingResult:
        """Trains to the end, or until `stop` says so; the newest checkpoint is then of the last step.

        Args:
            on_progress: called after each step.
            stop: asked after each step.

        Raises:
            RunError: the losses became infinite; the newest checkpoint is named.
            StoreError: a checkpoint cannot be written.
        """
        start = saved = time.monotonic()
        stopped_early = False
        with _Views(self._view, self._step * self.settings.batch, self.settings.batch) as views:
            while self._steps is None or self._step < self._steps:
                self._measure(start)
                rate, losses = self._train_one(next(views))
                ap = self._validate() if self._validates() else None
                left = self._seconds_left(start)
                on_progress(Progress(self._step, self._steps, losses, rate, left, ap))
                self._log(losses, rate, ap)
                stopped_early = bool(self.settings.patience) and self._worse >= self.settings.patience
                leaving = stop()
                if stopped_early or leaving or time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._save(start)
                    saved = time.monotonic()
                if stopped_early or leaving:
                    break
        self._save(start)
        state = self._best_state or self._average
        best_step = self._best[1] if self._best_state else self._step
        return TrainingResult(self._step, self._last, self._best[2], best_step, stopped_early, state)

    def _train_one(self, views: list[View]) -> tuple[float, dict[str, float]]:
        step, settings = self._step, self.settings
        # Anchors and proposals are drawn anew in each step, alike whether the run was resumed or not.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        steps = self._steps or 10**9  # while a time budget is measured the rate is still rising
        rate = Schedule.of(steps, settings.rate * settings.batch / 4).rate_at(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = make_batch(views, self._label_of, self._mean, self._std, self._device)
        with self._autocast():
            losses = mask_rcnn_losses(self._model, batch)
        total = torch.stack([losses[name] for name in LOSSES]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.gradient_max)
        if not (math.isfinite(float(total)) and math.isfinite(float(norm))):
            last = newest_checkpoint(self._checkpoints)
            raise RunError(
                f"the losses became infinite in step {step} (learning rate {rate:.2g}); the last good checkpoint is "
                f"{last or 'none'}. Use a lower --rate, or --precision fp32."
            )
        self._optimizer.step()
        decay = ema_decay(step, settings.average_share, steps)
        for name, value in self._model.state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value.float(), 1 - decay)
            else:
                self._average[name].copy_(value)
        self._step += 1
        self._last = {name: float(losses[name]) for name in LOSSES}
        return rate, self._last

    def _view(self, place: int) -> View:
        """Returns the view at a place of the order: a function of the seed and the place alone."""
        settings = self.settings
        rng = np.random.default_rng((settings.seed, 1, place))
        image = self._split.training[self._order[place]]
        pasted: TrainingImage | None = None
        if rng.random() < settings.paste and self._paste_odds.any():
            pasted = self._split.training[int(rng.choice(len(self._paste_odds), p=self._paste_odds))]
        return make_view(image, settings.input_size, rng, settings.jitter, pasted)

    def _validates(self) -> bool:
        if not self._split.validation or self._steps is None:
            return False
        every = max(self._steps // self.settings.validations, 1)
        return self._step == self._steps or (self._step % every == 0 and self._steps - self._step >= every // 2)

    def _validate(self) -> dict[str, float]:
        """Measures the averaged weights, and keeps them if they are the best so far."""
        own = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self._average)
        ap = validate(self._model, self._categories, self._split.validation, self.settings.input_size)
        self._model.load_state_dict(own)
        if ap["all"] > self._best[0]:
            self._best, self._worse = (ap["all"], self._step, ap), 0
            self._best_state = {name: value.detach().clone() for name, value in self._average.items()}
        else:
            self._worse += 1
        return ap

    def _measure(self, start: float) -> None:
        """Turns a time budget into a number of steps, once."""
        minutes = self.settings.minutes
        if self._steps is not None or minutes is None:
            return
        if self._step == 4:
            self._measured_from = time.monotonic()
        if self._step >= MEASURED_STEPS:
            each = (time.monotonic() - self._measured_from) / (self._step - 4)
            left = minutes * 60 - self._spent - (time.monotonic() - start)
            reserve = 0.9 if self._split.validation else 0.98  # what validation and checkpoints take
            self._steps = self._step + max(int(left * reserve / each), 1)

    def _seconds_left(self, start: float) -> float | None:
        done = self._step - self._first
        if self._steps is None or not done:
            return None
        return (self._steps - self._step) * (time.monotonic() - start) / done

    _first = 0
    _measured_from = 0.0

    def _autocast(self) -> AbstractContextManager[Any]:
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self._arithmetic())
        return torch.autocast(self._device.type, kind) if kind is not None else nullcontext()

    def _arithmetic(self) -> str:
        if self.settings.precision != "auto":
            return self.settings.precision
        if self._device.type == "cuda":
            return "bf16"
        return "bf16" if _multiplies_bf16() else "fp32"

    def _save(self, start: float) -> None:
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self._average.items()}
        tensors |= {f"best.{name}": value for name, value in self._best_state.items()}
        for number, group in self._optimizer.state_dict()["state"].items():
            if group.get("momentum_buffer") is not None:
                tensors[f"momentum.{number}"] = group["momentum_buffer"]
        state = {
            "step": self._step,
            "steps": self._steps,
            "spent_s": self._spent + time.monotonic() - start,
            "identity": self._identity,
            "best": {"ap": self._best[0], "step": self._best[1], "by_class": self._best[2]},
            "worse": self._worse,
            "losses": self._last,
            "tensors": len(tensors),
        }
        write_checkpoint(self._checkpoints, Checkpoint(json.loads(json.dumps(state)), tensors))

    def _restore(self, path: Path) -> None:
        found = read_checkpoint(path)
        require_same(found.state["identity"], json.loads(json.dumps(self._identity)), path)
        asked = self.settings.steps
        if asked is not None and asked != found.state["steps"]:
            require_same({"steps": found.state["steps"]}, {"steps": asked}, path)
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in ("model", "average", "best", "momentum")}
        for name, tensor in found.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor.to(self._device)
        self._model.load_state_dict(parts["model"])
        self._average, self._best_state = parts["average"], parts["best"]
        optimizer = self._optimizer.state_dict()
        optimizer["state"] = {int(number): {"momentum_buffer": each} for number, each in parts["momentum"].items()}
        self._optimizer.load_state_dict(optimizer)
        state, best = found.state, found.state["best"]
        self._step, self._steps, self._spent = state["step"], state["steps"], state["spent_s"]
        self._first = self._step
        self._best, self._worse = (best["ap"], best["step"], best["by_class"]), state["worse"]
        self._last = {name: math.nan if value is None else value for name, value in state["losses"].items()}

    def _log(self, losses: dict[str, float], rate: float, ap: dict[str, float] | None) -> None:
        row: dict[str, Any] = {"step": self._step, "rate": rate, **losses}
        if ap is not None:
            row["ap"] = ap
        with (self._out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


class _Views:
    """Prepares the next batches in a thread while the network learns from this one."""

    AHEAD = 3

    def __init__(self, view: Callable[[int], View], place: int, batch: int) -> None:
        self._view, self._place, self._batch = view, place, batch
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="views")
        self._ahead: list[Future[list[View]]] = []

    def __enter__(self) -> Iterator[list[View]]:
        return self

    def __iter__(self) -> Iterator[list[View]]:
        return self

    def __next__(self) -> list[View]:
        while len(self._ahead) < self.AHEAD:
            places = range(self._place, self._place + self._batch)
            self._ahead.append(self._pool.submit(self._make, places))
            self._place += self._batch
        return self._ahead.pop(0).result()

    def _make(self, places: range) -> list[View]:
        return [self._view(place) for place in places]

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _multiplies_bf16() -> bool:
    from roadmask.engines.openvino.segmenter import has_native_bf16  # noqa: PLC0415 - loads OpenVINO

    return has_native_bf16()
