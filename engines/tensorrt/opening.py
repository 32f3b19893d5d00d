"""Finds the plans that run on the GPU of this machine, and opens them as a segmenter."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from roadmask.engines.errors import ConfigError, EngineError, PlanTamperedError
from roadmask.engines.letterbox import INPUT_SIZES, parse_input_size
from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.table import EngineOptions
from roadmask.engines.tensorrt import plans
from roadmask.engines.tensorrt.cuda import Cuda
from roadmask.engines.tensorrt.device import Gpu, describe_gpu
from roadmask.engines.tensorrt.plans import Plan
from roadmask.engines.tensorrt.runner import LoadedPlan
from roadmask.engines.tensorrt.segmenter import TensorRtSegmenter
from roadmask.engines.tensorrt.tensorrt_module import Flavour, load_tensorrt

PREFERENCE: tuple[GpuPrecision, ...] = ("fp16", "int8", "fp32")
"""Order in which `auto` prefers precisions: int8 costs accuracy, fp32 costs time."""
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class FoundPlans:
    """The plans in the cache for some weights and a precision."""

    usable: dict[tuple[int, int], dict[int, Plan]] = field(default_factory=dict)
    """Usable plans: input size -> batch size -> plan."""
    left_out: list[str] = field(default_factory=list)
    """Reasons why plans for this GPU cannot be used, and messages about damaged manifests."""


def open_segmenter(weights: Weights, category_ids: Sequence[int], options: EngineOptions) -> TensorRtSegmenter:
    """Returns the engine `tensorrt`, which loads plans from the cache when images need them.

    Raises:
        GpuMissingError: there is no GPU.
        EngineError: no plan of the cache is of these weights and this precision for this GPU; the message says how to
            build one.
    """
    gpu, input_size = describe_gpu("tensorrt"), options.input_size
    kinds: dict[str, GpuPrecision] = {"fp32": "fp32", "int8": "int8"}
    precision = kinds.get(options.precision, "fp16")
    found = find_plans(weights, input_size, precision, gpu)
    for reason in found.left_out:
        _LOG.warning("%s", reason)
    if not found.usable:
        size = "" if input_size is None else f"{input_size[0]}x{input_size[1]}"
        command = f"roadmask engine build --weights {weights.argument} --precision {precision} --batch 1,4"
        wanted, command = (f"{precision} {size}", f"{command} --input-size {size}") if size else (precision, command)
        raise EngineError(f"no plan of {weights.name} {wanted} for {gpu.chip} is in the cache: {command}")
    loaders = {
        shape: {batch: partial(_load, plan) for batch, plan in by_batch.items()}
        for shape, by_batch in found.usable.items()
    }
    return TensorRtSegmenter(
        weights,
        category_ids,
        loaders,
        Cuda(),
        precision=precision,
        score_min=options.score_min,
        input_size=input_size,
    )


def choose_precision(
    weights: Weights, shape: tuple[int, int] | None, gpu: Gpu, wanted: str = "auto"
) -> tuple[GpuPrecision | None, list[str]]:
    """Returns the best precision with a usable plan for this GPU, or None, and why other plans were left out.

    Args:
        weights: that were built into it.
        shape: of the network's input, see `find_plans`.
        gpu: that is here.
        wanted: this precision alone; `auto` goes by `PREFERENCE`.
    """
    left_out: dict[str, None] = {}
    for precision in PREFERENCE:
        if wanted in {"auto", precision}:
            found = find_plans(weights, shape, precision, gpu)
            if found.usable:
                return precision, list(left_out)
            left_out |= dict.fromkeys(found.left_out)
    return None, list(left_out)


def find_plans(weights: Weights, shape: tuple[int, int] | None, precision: GpuPrecision, gpu: Gpu) -> FoundPlans:
    """Finds the plans of some weights and a precision for this GPU, and checks that they can be used.

    Args:
        weights: that were built into them.
        shape: of the network's input. By default those that images are fitted to, and others only where there is no
            plan of any of these: a user who built for 736x1280 alone wants that size.
        precision: of the plans.
        gpu: that is here.
    """
    found = FoundPlans()
    for path in plans.manifests():
        try:
            plan = plans.read_manifest(path)
        except PlanTamperedError as error:
            found.left_out.append(str(error))
            continue
        key = plan.key
        # One that was built ahead names a chip alone; one that was built here the GPU and its driver.
        here = key.chip == gpu.chip if key.driver else gpu.chip.endswith(f" {key.chip}")
        size = parse_input_size(key.shape)
        if not here or (key.weights, key.precision) != (weights.name, precision) or shape not in {None, size}:
            continue
        reason = _why_not(plan, weights, size, precision, gpu)
        if reason is not None:
            found.left_out.append(f"the plan {key.name} is left out: {reason}")
            continue
        by_batch = found.usable.setdefault(size, {})
        if key.driver or key.batch not in by_batch:  # what was built here was tuned here
            by_batch[key.batch] = plan
    usual = {size: by_batch for size, by_batch in found.usable.items() if size in INPUT_SIZES}
    return found if shape or not usual else FoundPlans(usual, found.left_out)


def _why_not(plan: Plan, weights: Weights, shape: tuple[int, int], precision: GpuPrecision, gpu: Gpu) -> str | None:
    """Returns the reason why a plan cannot run any more, or None."""
    key = plan.key
    if key.driver not in {"", gpu.driver}:
        return f"it was built under a driver for CUDA {key.driver}, here is one for {gpu.driver}; build it again"
    if key.recipe != plans.RECIPE:
        return "another roadmask built it, which built otherwise; build it again"
    try:
        installed = str(load_tensorrt(_flavour(key.flavour)).__version__)
        if installed != key.version:
            return f"{key.flavour} {key.version} built it, {installed} is installed; build it again"
        onnx = typed_onnx(weights, shape, key.batch, precision)
    except (EngineError, ConfigError) as error:  # TensorRT is missing, or the ranges of int8 did not come along
        return str(error)
    if hashlib.sha256(onnx.read_bytes()).hexdigest() != key.onnx_sha256:
        return "it is of another graph or other weights; build it again"
    return None


def _load(plan: Plan) -> LoadedPlan:
    _LOG.info("plan %s", plan.key.name)
    return LoadedPlan.of(plans.load(plan), load_tensorrt(_flavour(plan.key.flavour)))


def _flavour(name: str) -> Flavour:
    return "tensorrt-rtx" if name == "tensorrt-rtx" else "tensorrt"
