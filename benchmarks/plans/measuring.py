"""Build time and size of one plan per batch size, and of one plan with a profile per batch size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from roadmask.engines.networks.typed_onnx import GpuPrecision, typed_onnx
from roadmask.engines.networks.weights import Weights
from roadmask.engines.tensorrt.build import Target, build_plan


def benchmark_plans(
    weights: Weights, shape: tuple[int, int], precision: GpuPrecision, batches: Sequence[int], target: Target
) -> list[dict[str, Any]]:
    """Builds both from one graph whose batch is open; needs no GPU where the target is a chip.

    Returns:
        Records of weights, precision, shape, chip, plan (`each` or `profiles`), batch, build_s and megabytes.

    Raises:
        EngineError: a plan cannot be built.
    """
    onnx = typed_onnx(weights, shape, None, precision)
    results = []
    for plan, sizes in (*(("each", [batch]) for batch in batches), ("profiles", list(batches))):
        start = time.perf_counter()
        content = build_plan(onnx, target, sizes, shape)
        results.append(
            {
                "weights": weights.name,
                "precision": precision,
                "shape": f"{shape[0]}x{shape[1]}",
                "chip": target.chip,
                "plan": plan,
                "batch": ",".join(map(str, sizes)),
                "build_s": round(time.perf_counter() - start, 1),
                "megabytes": round(len(content) / 1e6, 1),
            }
        )
    return results
