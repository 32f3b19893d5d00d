"""What training changes: the network, the running average of its weights, and the optimizer's momentum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from roadmask.engines.networks.weights import Weights
from roadmask.training.augment import View
from roadmask.training.losses import LOSSES, make_batch, mask_rcnn_losses
from roadmask.training.networks import build_network, label_of
from roadmask.training.settings import TrainingSettings

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NetworkState:
    """A network in training.

    Args:
        weights: what it starts from.
        category_ids: COCO category ids that are learnt.
        settings: of the run.
        device: where it is trained.
        precision: arithmetic of the forward pass, `fp32`, `bf16` or `fp16`; weights are fp32.

    Raises:
        ConfigError: the architecture has no output for a category.
        WeightsError: the weights do not fit their architecture.
    """

    def __init__(
        self,
        weights: Weights,
        category_ids: Sequence[int],
        settings: TrainingSettings,
        device: torch.device,
        precision: str,
    ) -> None:
        self.model = build_network(weights, fresh_heads=settings.fresh_heads, seed=settings.seed).to(device)
        self.average: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in self.model.state_dict().items()
        }
        self._label_of = label_of(weights, category_ids)
        self._settings, self._device, self._precision = settings, device, precision
        self._trained = [each for each in self.model.parameters() if each.requires_grad]
        self._optimizer = torch.optim.SGD(
            self._trained,
            lr=settings.rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=True,
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        transform = self.model.transform
        self._mean, self._std = (torch.tensor(each) for each in (transform.image_mean, transform.image_std))

    def learn(self, views: Sequence[View], rate: float, decay: float, seed: int) -> dict[str, float] | None:
        """Takes one step.

        Args:
            views: the batch.
            rate: learning rate.
            decay: of the averaged weights.
            seed: of the draws of anchors and proposals.

        Returns:
            The losses, see `LOSSES`; None if they are not finite, in which case nothing was learnt.
        """
        torch.manual_seed(seed)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = make_batch(views, self._label_of, self._mean, self._std, self._device)
        with self._autocast():
            losses = mask_rcnn_losses(self.model, batch)
        total = torch.stack([losses[name] for name in LOSSES]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained, self._settings.gradient_max).detach())
        if not math.isfinite(float(total.detach())):
            return None
        if not math.isfinite(norm) and self._precision != "fp16":  # in fp16 the scaler skips the step and scales less
            return None
        self._scaler.step(self._optimizer)
        self._scaler.update()
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)
                else:
                    self.average[name].copy_(value)
        return {name: float(losses[name].detach()) for name in LOSSES}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Runs what is inside with the averaged weights in the network."""
        own = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(own)

    def tensors(self) -> dict[str, Tensor]:
        """Returns everything that a resumed run needs, by name."""
        kept = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        kept |= {f"average.{name}": value for name, value in self.average.items()}
        for number, each in self._optimizer.state_dict()["state"].items():
            if each.get("momentum_buffer") is not None:
                kept[f"momentum.{number}"] = each["momentum_buffer"]
        if self._precision == "fp16":
            kept["scale.value"] = torch.tensor(self._scaler.get_scale())
        return kept

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continues from what `tensors` returned, on whatever device."""
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in ("model", "average", "momentum", "scale")}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            if part in parts:
                parts[part][rest] = tensor.to(self._device)
        self.model.load_state_dict(parts["model"])
        self.average = parts["average"]
        optimizer = self._optimizer.state_dict()
        optimizer["state"] = {int(number): {"momentum_buffer": each} for number, each in parts["momentum"].items()}
        self._optimizer.load_state_dict(optimizer)
        if parts["scale"]:
            self._scaler.update(float(parts["scale"]["value"]))

    def _autocast(self) -> AbstractContextManager[Any]:
        kind = _AUTOCAST.get(self._precision)
        return nullcontext() if kind is None else torch.autocast(self._device.type, kind)
