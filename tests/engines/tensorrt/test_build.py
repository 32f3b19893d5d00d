"""How plans are built, and each way in which they cannot be; test_build_lite.py and _kinds build the real graph."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines import Image
from roadmask.engines.errors import (
    BuildError,
    ConfigError,
    DriverTooOldError,
    EngineError,
    GpuMissingError,
    RoadmaskError,
    TensorRtMissingError,
)
from roadmask.engines.networks.typed_onnx import unfit_nodes
from roadmask.engines.tensorrt import build
from roadmask.engines.tensorrt.build import Target, build_plan
from roadmask.engines.tensorrt.device import Gpu, describe_gpu
from roadmask.engines.tensorrt.tensorrt_module import load_tensorrt
from roadmask.evaluation.engines.acceptance import Acceptance

SHAPE = (384, 640)
TARGETS = ("sm80", "sm89", "sm120")


def open_batch_graph(path: Path) -> Path:
    """Brightness of each frame, times what its NMS starts from: a graph whose batch is open."""
    kinds, helper = onnx.TensorProto, onnx.helper
    inputs = [
        helper.make_tensor_value_info("frames", kinds.UINT8, ["batch", "h", "w", 3]),
        helper.make_tensor_value_info("proposal_keep", kinds.FLOAT, ["batch", 8]),
    ]
    axes = onnx.numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    nodes = [
        helper.make_node("Cast", ["frames"], ["numbers"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Mul", ["column", "proposal_keep"], ["scores"]),
    ]
    weights = [axes, onnx.numpy_helper.from_array(np.array([1]), "last")]
    outputs = [helper.make_tensor_value_info("scores", kinds.FLOAT, ["batch", 8])]
    graph = helper.make_graph(nodes, "open", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def all_made(monkeypatch: pytest.MonkeyPatch, builder: Any, method: str) -> list[Any]:
    """Keeps whatever a method of TensorRT's builder makes."""
    made, make = [], getattr(builder, method)

    def kept(self: Any) -> Any:
        made.append(make(self))
        return made[-1]

    monkeypatch.setattr(builder, method, kept)
    return made


def test_fp32_is_no_tf32_and_what_runs_can_be_captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt = load_tensorrt("tensorrt-rtx")
    configs = all_made(monkeypatch, tensorrt.Builder, "create_builder_config")
    build_plan(open_batch_graph(tmp_path / "open.onnx"), Target("tensorrt-rtx", "sm89"), 1, SHAPE)
    [config] = configs
    assert not config.get_flag(tensorrt.BuilderFlag.TF32)
    assert config.get_flag(tensorrt.BuilderFlag.REQUIRE_USER_ALLOCATION)


def test_a_graph_whose_batch_is_open_takes_a_profile_for_each_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = all_made(monkeypatch, load_tensorrt("tensorrt-rtx").Builder, "create_optimization_profile")
    path = open_batch_graph(tmp_path / "open.onnx")
    assert build_plan(path, Target("tensorrt-rtx", "sm89"), [1, 4], SHAPE)
    assert [tuple(map(tuple, each.get_shape("proposal_keep"))) for each in profiles] == [((1, 8),) * 3, ((4, 8),) * 3]
    assert [tuple(each.get_shape("frames")[1]) for each in profiles] == [(1, *SHAPE, 3), (4, *SHAPE, 3)]


def test_forbidden_operators_are_found() -> None:
    nodes = [onnx.helper.make_node(*each) for each in (("NonZero", ["a"], ["b"]), ("Relu", ["b"], ["c"]))]
    nodes.append(onnx.helper.make_node("Mine", ["c"], ["d"], domain="custom"))
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [], []))
    assert unfit_nodes(model) == ["NonZero", "custom::Mine"]


class TestErrors:
    @pytest.mark.parametrize(
        ("flavour", "package"), [("tensorrt", "tensorrt-cu13"), ("tensorrt-rtx", "tensorrt-rtx-cu13")]
    )
    def test_tensorrt_missing(self, flavour: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, flavour.replace("-", "_"), None)
        with pytest.raises(TensorRtMissingError, match=f"pip install {package}$"):
            load_tensorrt(flavour)

    def test_tensorrt_of_another_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
        with pytest.raises(TensorRtMissingError, match=re.escape("got 8.6.1: pip install 'tensorrt-cu13>=10,<12'")):
            load_tensorrt("tensorrt")

    def test_chip_it_does_not_build_for(self, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match=r"expected a target of sm75, .*, got 'sm90'"):
            build_plan(tmp_path / "no.onnx", Target("tensorrt-rtx", "sm90"), 1, SHAPE)

    def test_a_gpu_that_plans_would_not_run_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(build, "describe_gpu", lambda _: Gpu("NVIDIA H200 sm90", "13.0"))
        with pytest.raises(BuildError, match=r"not support this GPU, NVIDIA H200 sm90, but only sm75, .*torch-cuda"):
            build_plan(tmp_path / "no.onnx", Target("tensorrt-rtx", "here"), 1, SHAPE)

    def test_tensorrt_builds_for_no_other_chip(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(build, "load_tensorrt", lambda _: SimpleNamespace(__version__="10.1"))
        with pytest.raises(BuildError, match="use --flavour tensorrt-rtx"):
            build_plan(tmp_path / "no.onnx", Target("tensorrt", "sm89"), 1, SHAPE)

    def test_a_file_that_is_no_graph(self, tmp_path: Path) -> None:
        (tmp_path / "no.onnx").write_bytes(b"no")
        with pytest.raises(BuildError, match=r"cannot read no\.onnx"):
            build_plan(tmp_path / "no.onnx", Target("tensorrt-rtx", "sm89"), 1, SHAPE)

    def test_no_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted_cuda(monkeypatch, status="cudaErrorNoDevice")
        with pytest.raises(GpuMissingError, match="--flavour tensorrt-rtx --target sm89"):
            describe_gpu("tensorrt")

    def test_driver_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted_cuda(monkeypatch, status="cudaErrorInsufficientDriver", driver=12040)
        with pytest.raises(DriverTooOldError, match=r"CUDA 13\.0, got one for CUDA 12\.4"):
            describe_gpu("tensorrt")

    @pytest.mark.parametrize("call", ["cudaGetDeviceCount", "cudaGetDeviceProperties"])
    def test_a_gpu_that_is_not_well_is_not_called_missing(self, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted_cuda(monkeypatch, status="cudaSuccess", fail=call)
        with pytest.raises(EngineError, match=f"{call} failed with 999: `nvidia-smi`") as caught:
            describe_gpu("tensorrt")
        assert not isinstance(caught.value, GpuMissingError)

    def test_a_gpu_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted_cuda(monkeypatch, status="cudaSuccess")
        gpu = describe_gpu("tensorrt")
        assert (gpu.chip, gpu.driver) == ("Scripted sm89", "13.0")


def scripted_cuda(monkeypatch: pytest.MonkeyPatch, *, status: str, driver: int = 13000, fail: str = "") -> None:
    names = SimpleNamespace(cudaSuccess=0, cudaErrorNoDevice=100, cudaErrorInsufficientDriver=35)
    runtime = SimpleNamespace(
        cudaError_t=names,
        cudaGetDeviceCount=lambda: (getattr(names, status), int(status == "cudaSuccess")),
        cudaDriverGetVersion=lambda: (0, driver),
        cudaRuntimeGetVersion=lambda: (0, 13000),
        cudaGetDeviceProperties=lambda _: (0, SimpleNamespace(name=b"Scripted", major=8, minor=9)),
    )
    if fail:
        setattr(runtime, fail, lambda *_: (999, None))
    monkeypatch.setattr("roadmask.engines.tensorrt.device.import_module", lambda _: runtime)


class TestCommand:
    def test_build_list_and_remove(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        built: list[Path] = []

        def scripted(onnx_file: Path, *_: Any) -> bytes:
            built.append(onnx_file)
            return b"plan"

        monkeypatch.setattr("roadmask.engines.tensorrt.build.build_plan", scripted)
        monkeypatch.setattr("roadmask.engines.networks.typed_onnx._export", lambda *_: b"onnx")
        asked = [
            "engine",
            "build",
            "--precision",
            "fp32",
            "--input-size",
            "192x160",
            "--batch",
            "1,4",
            "--target",
            "sm89",
        ]
        first, second = (CliRunner().invoke(app, asked) for _ in range(2))
        assert first.exit_code == 0, first.output
        assert first.output.count("built: lite fp32 192x160 batch") == 2
        assert second.output.count("already built: ") == 2
        assert len(built) == 2
        listed = CliRunner().invoke(app, ["engine", "list"], env={"COLUMNS": "250"})
        assert listed.output.count("intact") == 2
        assert "unmeasured" not in listed.output, "fp32 costs nothing"
        assert CliRunner().invoke(app, ["engine", "remove", "192x160-b4"]).exit_code == 0
        assert CliRunner().invoke(app, ["engine", "list"], env={"COLUMNS": "250"}).output.count("intact") == 1

    def test_half_that_nobody_measured_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.setattr("roadmask.engines.networks.typed_onnx._export", lambda *_: b"onnx")
        asked = ["engine", "build", "--target", "sm89", "--data", str(tmp_path)]
        found = CliRunner().invoke(app, asked)
        assert isinstance(found.exception, ConfigError)
        assert "or build with --unmeasured" in str(found.exception)

    def test_without_a_gpu_and_a_target_it_names_the_way_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        scripted_cuda(monkeypatch, status="cudaErrorNoDevice")
        found = CliRunner().invoke(app, ["engine", "build", "--precision", "fp32"])
        assert isinstance(found.exception, GpuMissingError)
        assert "--flavour tensorrt-rtx --target sm89" in str(found.exception)

    def test_activations_are_measured(self, portrait: Image, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "portrait.png"), portrait[:, :, ::-1])
        found = CliRunner().invoke(app, ["engine", "activations", "--input-size", "64x96", "--images", str(tmp_path)])
        assert found.exit_code == 0, found.output
        assert re.search(r"The 5 largest of \d+ inputs and outputs of lite, 1 images", " ".join(found.output.split()))
        assert "box_head" in found.output

    def test_a_plan_that_nobody_measured_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.setattr("roadmask.engines.tensorrt.build.build_plan", lambda *_: b"plan")
        monkeypatch.setattr("roadmask.engines.networks.typed_onnx._export", lambda *_: b"onnx")
        asked = ["engine", "build", "--target", "sm89", "--unmeasured"]
        assert CliRunner().invoke(app, asked).exit_code == 0
        [manifest] = (tmp_path / "plans").glob("*.json")
        assert json.loads(manifest.read_bytes())["measured"] is None
        assert "unmeasured" in CliRunner().invoke(app, ["engine", "list"], env={"COLUMNS": "250"}).output

    def test_what_was_measured_is_in_the_manifest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.setattr("roadmask.engines.tensorrt.build.build_plan", lambda *_: b"plan")
        monkeypatch.setattr("roadmask.engines.networks.typed_onnx._export", lambda *_: b"onnx")
        acceptance = Acceptance("fp16", "a test", {"coco_dev": {"fp32": 0.4, "fp16": 0.4}}, {"fc6": 92.0})
        monkeypatch.setattr("roadmask.evaluation.engines.acceptance.measure", lambda *_: acceptance)
        built = CliRunner().invoke(app, ["engine", "build", "--target", "sm89"])
        assert built.exit_code == 0, built.output
        assert "measured: a test" in built.output
        [manifest] = (tmp_path / "plans").glob("*.json")
        assert json.loads(manifest.read_bytes())["measured"] == acceptance.record()
        assert "accepted" in CliRunner().invoke(app, ["engine", "list"], env={"COLUMNS": "250"}).output

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--precision", "int8"], "give --calibration DIR"),
            (["--calibration", "somewhere"], "expected --precision int8 with --calibration, got fp16"),
            (["--precision", "int4"], "expected --precision fp32, fp16 or int8, got 'int4'"),
            (["--flavour", "tensorflow"], "expected --flavour tensorrt or tensorrt-rtx"),
            (["--batch", "0"], "expected --batch from 1 to 64"),
            (["--batch", "many"], "expected --batch as whole numbers such as 1,4,8"),
            (["--input-size", "700x1280"], "multiples of 32 .* use 704x1280"),
            (["--target", "sm90"], "expected a target of sm75, .* got 'sm90'"),
            (
                ["--flavour", "tensorrt", "--target", "sm89"],
                "expected no --target .*got sm89",
            ),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, list) else "",
    )
    def test_options_that_do_not_fit(
        self, options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.delenv("ROADMASK_DATA", raising=False)
        found = CliRunner().invoke(app, ["engine", "build", "--target", "sm89", "--unmeasured", *options])
        assert isinstance(found.exception, RoadmaskError)
        assert found.exception.exit_code == 2
        assert re.search(message, str(found.exception))
