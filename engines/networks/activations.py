"""The largest numbers inside a network on real images: fp16 ends at 65504."""

# ruff: noqa: PLC0415 - torch is for measuring alone, not for judging what was measured

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from roadmask.engines.errors import EngineError
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.weights import Weights
from roadmask.engines.segmenter import Image

ACTIVATION_MAX = 3e4
"""Largest accepted number: half of what fp16 holds leaves room for images that were not measured."""


def largest_activations(
    weights: Weights,
    shape: tuple[int, int],
    images: Sequence[Image],
    on_image: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Runs the networks of the graph in fp32.

    Args:
        weights: see `find_weights`.
        shape: height and width of the network's input.
        images: real ones.
        on_image: called after each.

    Returns:
        The largest magnitude that each layer takes or gives on any image, by the layer's name. What is added between
        layers, as a residual or in the pyramid, is what the next one takes.
    """
    import torch

    from roadmask.engines.networks.frame_graph import GpuGraph
    from roadmask.engines.networks.models import load_model

    seen: dict[str, float] = {}
    with torch.inference_mode():
        graph = GpuGraph(load_model(weights), shape, 1, GraphSettings.of(weights.architecture)).eval()
        for name, module in graph.model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(_watch(name, seen))
        # The graph multiplies a mask's features with the predicted class's row alone, outside any layer: here with all.
        predictor = graph.model.roi_heads.mask_predictor
        predictor.relu.register_forward_hook(lambda _module, _inputs, hidden: _call(predictor.mask_fcn_logits, hidden))
        for image in images:
            letterbox = Letterbox.fit((image.shape[0], image.shape[1]), shape)
            places = {key: torch.from_numpy(values) for key, values in vars(ResizePlan.of(letterbox)).items()}
            graph(*graph.example_inputs()._replace(frames=torch.from_numpy(image)[None], **places))
            on_image()
    return seen


def require_half(activations: dict[str, float]) -> None:
    """Checks that the numbers of a network fit into fp16.

    Raises:
        EngineError: a layer's do not.
    """
    beyond = {name: value for name, value in activations.items() if not value < ACTIVATION_MAX}
    if beyond:
        named = ", ".join(f"{name} {value:.3g}" for name, value in list(beyond.items())[:3])
        raise EngineError(
            f"expected every activation under {ACTIVATION_MAX:g}, as fp16 ends at 65504, got {named}: choose fp32."
        )


def _watch(name: str, seen: dict[str, float]) -> Callable[[Any, Any, Any], None]:
    import torch

    def hook(_module: object, inputs: tuple[object, ...], output: object) -> None:
        for kind, values in ((f"{name} (input)", inputs), (name, (output,))):
            for each in values:
                if isinstance(each, torch.Tensor) and each.is_floating_point():
                    largest = torch.nan_to_num(each.abs(), nan=float("inf")).max()
                    seen[kind] = max(seen.get(kind, 0.0), float(largest))

    return hook


def _call(layer: Any, values: Any) -> None:
    """Runs a layer for what its own hook sees; what a hook returned would take the output's place."""
    layer(values)
