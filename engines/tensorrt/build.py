"""ONNX -> TensorRT plan. Strongly typed networks only: the types are those of the ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadmask.engines.errors import BuildError
from roadmask.engines.networks.graph_io import KEEPS
from roadmask.engines.tensorrt.device import describe_gpu
from roadmask.engines.tensorrt.tensorrt_module import Flavour, find_target, listener, load_tensorrt, targets

SIDE_MAX = 3840
"""Largest side of a frame that a plan takes, in pixels: its profile needs a bound."""


@dataclass(frozen=True)
class Target:
    """What a plan is built for.

    Raises:
        BuildError: the flavour tensorrt, which builds for the GPU it runs on, and another chip.
    """

    flavour: Flavour
    chip: str
    """Chip such as `sm89`, for TensorRT for RTX without a GPU; `here` is the GPU of this machine."""

    def __post_init__(self) -> None:
        if self.chip != "here" and self.flavour == "tensorrt":
            raise BuildError(
                f"expected no --target with the flavour tensorrt, which builds for the GPU here, got {self.chip}: "
                "leave it out, or use --flavour tensorrt-rtx, which builds for other chips."
            )


def build_plan(
    onnx: Path,
    target: Target,
    batch: int | Sequence[int],
    shape: tuple[int, int],
    progress: Callable[[str], None] = lambda _: None,
) -> bytes:
    """Builds a plan.

    Args:
        onnx: from `typed_onnx`.
        target: for which chip.
        batch: the graph's number of frames; for a graph whose batch is open one or more, each a profile of the plan.
        shape: the graph's network shape, to which frames are expected to be near.
        progress: called with the name of each phase as it begins.

    Raises:
        TensorRtMissingError: the flavour is not installed.
        GpuMissingError: the target needs a GPU here.
        BuildError: the chip or the graph is refused; TensorRT's own words are in the message.
    """
    tensorrt = load_tensorrt(target.flavour)
    chip = tensorrt.ComputeCapability.CURRENT if target.flavour == "tensorrt-rtx" and target.chip == "here" else None
    if target.chip != "here":
        chip = find_target(tensorrt, target.chip)
    else:
        gpu = describe_gpu(target.flavour)  # or its error, which names the way out
        # TensorRT for RTX builds for any GPU that is here, and says only when it is loaded that the plan cannot run.
        if target.flavour == "tensorrt-rtx" and gpu.target not in targets(tensorrt):
            raise BuildError(
                f"TensorRT for RTX {tensorrt.__version__} does not support this GPU, {gpu.chip}, but only "
                f"{', '.join(targets(tensorrt))}: use --flavour tensorrt, or the engine torch-cuda without a plan."
            )
    heard = listener(tensorrt)
    builder = tensorrt.Builder(heard)
    # TensorRT 11 has no other networks: it ignores the flag, and may leave it out one day.
    typed = getattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = tensorrt.OnnxParser(network, heard)
    if not parser.parse_from_file(str(onnx)):
        reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise BuildError(f"TensorRT {tensorrt.__version__} cannot read {onnx.name}: {reasons}.")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # fp32 differs from torchvision's by the order of sums alone
    user_allocation = getattr(tensorrt.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if user_allocation is not None:  # what TensorRT for RTX allocates while it runs cannot be captured
        config.set_flag(user_allocation)
    if chip is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(chip, 0)
    for frames in [batch] if isinstance(batch, int) else batch:
        profile = builder.create_optimization_profile()
        profile.set_shape("frames", (frames, 1, 1, 3), (frames, *shape, 3), (frames, SIDE_MAX, SIDE_MAX, 3))
        for each in map(network.get_input, range(network.num_inputs)):
            if each.name in KEEPS and each.shape[0] == -1:
                profile.set_shape(each.name, *[(frames, *tuple(each.shape)[1:])] * 3)
        config.add_optimization_profile(profile)
    config.progress_monitor = _monitor(tensorrt, progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError(f"TensorRT {tensorrt.__version__} built no plan of {onnx.name}: {heard.said()}.")
    return bytes(plan)


def _monitor(tensorrt: Any, progress: Callable[[str], None]) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def phase_start(self, name: str, _parent: str | None, _steps: int) -> None:
            progress(name)

        def step_complete(self, _name: str, _step: int) -> bool:
            return True

        def phase_finish(self, name: str) -> None:
            pass

    return Monitor()
