"""What a training run is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from roadmask.engines.errors import ConfigError
from roadmask.training.augment import Jitter

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the weights that come out, besides the labelled images and the weights that go in.

    Raises:
        ConfigError: a number is out of range.
    """

    steps: int | None = None
    """Steps to train; measured from `minutes` at the beginning of the run where it is None."""
    minutes: float | None = None
    """Time to train, validation included; exactly one of the two is given."""
    batch: int = 4
    """Views in a step."""
    input_size: tuple[int, int] = (320, 448)
    """Height and width of a view in pixels, multiples of 32."""
    rate: float = 0.01
    """Highest learning rate of SGD for a batch of 4; it grows with the batch (Goyal et al., 2017)."""
    momentum: float = 0.9
    weight_decay: float = 1e-4
    gradient_max: float = 10.0
    """Gradients of a larger norm are scaled down to it."""
    fresh_heads: bool = False
    """Start FPN, RPN and heads from random numbers."""
    jitter: Jitter = field(default_factory=Jitter)
    """How far views differ from their images."""
    paste: float = 0.3
    """Share of the views over which objects of another image are pasted, images with rare classes first."""
    repeat_threshold: float = 0.2
    """Classes that show in a smaller share of the images are seen more often; 0 sees all images equally often."""
    average_share: float = 0.02
    """Half-life of the averaged weights, as a share of the run."""
    validation_share: float = 0.1
    """Share of the images that validate and are not learnt from."""
    validations: int = 10
    """How often mask AP is measured during the run; the last time after the last step."""
    patience: int = 4
    """Ends the run once so many validations in a row were no better than the best; 0 never does."""
    seed: int = 0
    precision: Precision = "auto"
    """`auto` is bf16 on a CPU that multiplies it, fp16 on a GPU, else fp32."""
    threads: int | None = None
    """Threads of torch on a CPU; one for each physical core by default."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("expected either steps or minutes to train, got both or neither.")
        for name, value in (("steps", self.steps), ("minutes", self.minutes), ("batch", self.batch)):
            if value is not None and not value > 0:
                raise ConfigError(f"expected {name} above 0, got {value}.")
        if any(side % 32 or not 64 <= side <= 2048 for side in self.input_size):
            raise ConfigError(f"expected an input size of multiples of 32 from 64 to 2048, got {self.input_size}.")
        for name in ("paste", "repeat_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"expected {name} from 0 to 1, got {getattr(self, name)}.")
        if not self.rate > 0 or self.validations < 1 or self.patience < 0:
            raise ConfigError("expected a learning rate above 0, at least one validation and a patience of 0 or more.")

    def identity(self) -> dict[str, Any]:
        """Returns what must not change when a run is resumed; where it runs may."""
        plain = asdict(self)
        return {
            name: value for name, value in plain.items() if name not in ("minutes", "steps", "threads", "precision")
        }
