"""Plans in int8 and of resnet50, built by the real TensorRT for RTX without a GPU; lite: test_build_lite.py."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from roadmask.engines import Image
from roadmask.engines.classes import PEDESTRIAN
from roadmask.engines.networks.quantization import calibrate
from roadmask.engines.networks.typed_onnx import typed_onnx, unfit_nodes
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.engines.onnxruntime.segmenter import OnnxRuntimeSegmenter
from roadmask.engines.tensorrt.build import Target, build_plan
from roadmask.evaluation.speed.random_weights import write_random_weights

pytestmark = pytest.mark.ci

SHAPE = (192, 160)
"""A small input size of about the portrait's aspect: a plan has the same layers at every size."""


def test_lite_builds_in_int8(lite: Weights, portrait: Image, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait[:, :, ::-1])
    calibration = calibrate(typed_onnx(lite, SHAPE, 1, "fp32"), lite, SHAPE, tmp_path)
    assert len(calibration.ranges) > 50
    path = typed_onnx(lite, SHAPE, 1, "int8")
    model = onnx.load(path)
    assert unfit_nodes(model) == []
    assert path.stat().st_size < 0.7 * typed_onnx(lite, SHAPE, 1, "fp16").stat().st_size
    quantisers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantisers) > 40
    assert len(build_plan(path, Target("tensorrt-rtx", "sm89"), 1, SHAPE)) > 5e6
    segmenter = OnnxRuntimeSegmenter(lite, [PEDESTRIAN], score_min=0.5, input_size=SHAPE, precision="int8")
    [found] = segmenter([portrait])
    assert len(found) == 1
    assert found.scores[0] > 0.9


def test_resnet50_builds_in_half_and_again_alike(tmp_path: Path) -> None:
    file = tmp_path / "random.safetensors"
    write_random_weights(file, Architecture.RESNET50, np.zeros((128, 128, 3), np.uint8))
    path = typed_onnx(find_weights(file), SHAPE, 1, "fp16")
    first, second = (len(build_plan(path, Target("tensorrt-rtx", "sm89"), 1, SHAPE)) for _ in range(2))
    assert first > 80e6
    assert abs(first - second) < 0.01 * first
