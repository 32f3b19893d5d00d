"""Finds the plans that run on the GPU of this machine, and opens them as a segmenter."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from roadmask.engines.errors import ConfigError, EngineError, TensorRtMissingError
from roadmask.engines.gpu import plans
from roadmask.engines.gpu.cuda import Cuda
from roadmask.engines.gpu.device import Gpu, describe_gpu
from roadmask.engines.gpu.plans import Plan
from roadmask.engines.gpu.run import LoadedPlan
from roadmask.engines.gpu.segmenter import TensorRtSegmenter
from roadmask.engines.gpu.tensorrt_module import Flavour, load_tensorrt
from roadmask.engines.gpu.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.letterbox import NETWORK_SHAPES
from roadmask.engines.weights import Weights

_LOG = logging.getLogger("roadmask")


def open_tensorrt(
    weights: Weights,
    category_ids: Sequence[int],
    *,
    score_min: float,
    network_shape: tuple[int, int] | None,
    precision: GpuPrecision,
) -> TensorRtSegmenter:
    """Returns a segmenter that loads plans from the cache as pictures ask for them, the largest batch there is.

    Raises:
        GpuMissingError: there is no GPU.
        EngineError: no plan of the cache is of these weights and this precision for this GPU; the message says how to
            build one.
    """
    gpu = describe_gpu("tensorrt")

    def plan_for(shape: tuple[int, int]) -> LoadedPlan:
        plan = find_plan(weights, shape, precision, gpu)
        tensorrt = load_tensorrt(_flavour(plan.key.flavour))
        _LOG.info("plan %s", plan.key.name)
        return LoadedPlan.of(plans.load(plan), tensorrt)

    if network_shape is not None:
        find_plan(weights, network_shape, precision, gpu)  # before the run begins
    return TensorRtSegmenter(
        weights,
        category_ids,
        plan_for,
        Cuda(),
        precision=precision,
        score_min=score_min,
        network_shape=network_shape,
    )


def find_plan(weights: Weights, shape: tuple[int, int], precision: GpuPrecision, gpu: Gpu) -> Plan:
    """Returns the plan with the largest batch that was built of these weights for this GPU.

    Raises:
        EngineError: there is none; the message says how to build one.
        PlanTamperedError: a manifest was changed.
    """
    size = f"{shape[0]}x{shape[1]}"
    for plan in sorted(map(plans.read_manifest, plans.manifests()), key=lambda plan: -plan.key.batch):
        key = plan.key
        if (key.shape, key.precision, key.weights) != (size, precision, weights.name) or not _runs_on(plan, gpu):
            continue
        stale = _why_stale(plan, weights, shape, precision)
        if stale is None:
            return plan
        _LOG.warning("the plan %s is left out: %s", key.name, stale)
    command = f"roadmask engine build --weights {weights.name} --precision {precision} --shape {size} --batch 1,4"
    raise EngineError(f"no plan of {weights.name} {precision} {size} for {gpu.chip} is in the cache: {command}")


def _why_stale(plan: Plan, weights: Weights, shape: tuple[int, int], precision: GpuPrecision) -> str | None:
    """Returns why a plan of this use cannot run any more, or None."""
    key = plan.key
    try:
        installed = str(load_tensorrt(_flavour(key.flavour)).__version__)
    except TensorRtMissingError as error:
        return str(error)
    if installed != key.version:
        return f"{key.flavour} {key.version} built it, {installed} is installed; build it again"
    try:
        onnx = typed_onnx(weights, shape, key.batch, precision)
    except ConfigError as error:  # int8 whose ranges did not come along
        return str(error)
    if hashlib.sha256(onnx.read_bytes()).hexdigest() != key.onnx_sha256:
        return "it is of another graph or other weights; build it again"
    return None


def _flavour(name: str) -> Flavour:
    return "tensorrt-rtx" if name == "tensorrt-rtx" else "tensorrt"


def has_plans(
    weights: Weights, shape: tuple[int, int] | None, gpu: Gpu, wanted: str | None = None
) -> GpuPrecision | None:
    """Returns the precision of a plan that this GPU can run, or None if there is no such plan.

    Args:
        weights: that were built into it.
        shape: of the network's input; any by default.
        gpu: that is here.
        wanted: this precision alone; by default fp16 is taken before int8, which costs accuracy, and before fp32.
    """
    sizes = {f"{height}x{width}" for height, width in ([shape] if shape else NETWORK_SHAPES)}
    found = {
        plan.key.precision
        for plan in map(plans.read_manifest, plans.manifests())
        if plan.key.weights == weights.name and plan.key.shape in sizes and _runs_on(plan, gpu)
    }
    by_preference: tuple[GpuPrecision, ...] = ("fp16", "int8", "fp32")
    return next((each for each in by_preference if each in found and wanted in {None, each}), None)


def _runs_on(plan: Plan, gpu: Gpu) -> bool:
    """A plan that was built ahead names a chip alone; one that was built here the GPU and its driver."""
    key = plan.key
    return (key.chip == gpu.chip and key.driver == gpu.driver) or (not key.driver and gpu.chip.endswith(f" {key.chip}"))
