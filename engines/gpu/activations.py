"""How large the numbers in a network become on real pictures: half precision ends at 65504."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from roadmask.engines.errors import EngineError
from roadmask.engines.gpu.graph import GpuGraph
from roadmask.engines.gpu.resizing import ResizePlan
from roadmask.engines.graph_settings import GraphSettings
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.models import load_model
from roadmask.engines.segmenter import Image
from roadmask.engines.weights import Weights

ACTIVATION_MAX = 3e4
"""Half of what fp16 holds, for pictures that were not measured."""


def largest_activations(
    weights: Weights,
    shape: tuple[int, int],
    pictures: Sequence[Image],
    on_picture: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Runs the networks of the graph in fp32.

    Args:
        weights: see `find_weights`.
        shape: height and width of the network's input.
        pictures: real ones.
        on_picture: called after each.

    Returns:
        The largest magnitude that each layer gives on any picture, by the layer's name.
    """
    seen: dict[str, float] = {}
    with torch.inference_mode():
        graph = GpuGraph(load_model(weights), shape, 1, GraphSettings.of(weights.architecture)).eval()
        for name, module in graph.model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(_watch(name, seen))
        for picture in pictures:
            letterbox = Letterbox.fit((picture.shape[0], picture.shape[1]), shape)
            places = {key: torch.from_numpy(values) for key, values in vars(ResizePlan.of(letterbox)).items()}
            graph(*graph.example_inputs()._replace(frames=torch.from_numpy(picture)[None], **places))
            on_picture()
    return seen


def require_half(activations: dict[str, float]) -> None:
    """Lets networks pass whose numbers fit into half.

    Raises:
        EngineError: a layer's do not.
    """
    beyond = {name: value for name, value in activations.items() if not value < ACTIVATION_MAX}
    if beyond:
        named = ", ".join(f"{name} {value:.3g}" for name, value in list(beyond.items())[:3])
        raise EngineError(
            f"expected every activation under {ACTIVATION_MAX:g}, as half ends at 65504, got {named}: choose fp32."
        )


def _watch(name: str, seen: dict[str, float]) -> Callable[[Any, Any, Any], None]:
    def hook(_module: object, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            seen[name] = max(seen.get(name, 0.0), float(output.abs().max()))

    return hook
