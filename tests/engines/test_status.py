"""What `roadmask doctor` says of NVIDIA's parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from roadmask.engines.errors import DriverTooOldError, GpuMissingError
from roadmask.engines.status import EngineStatus, gpu_report
from roadmask.engines.tensorrt import status as tensorrt
from roadmask.engines.tensorrt.device import Gpu
from roadmask.engines.torch_cuda import status as torch_cuda


def rows() -> dict[str, EngineStatus]:
    return {row.engine: row for row in gpu_report()}


def describe_as(monkeypatch: pytest.MonkeyPatch, describe: Callable[[str], Gpu]) -> None:
    for module in (tensorrt, torch_cuda):
        monkeypatch.setattr(module, "describe_gpu", describe)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_flavour: str) -> Gpu:
        raise GpuMissingError("none")

    describe_as(monkeypatch, none)


def test_what_is_here_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="11.4.1"))
    describe_as(monkeypatch, lambda _: Gpu("Scripted sm89", "13.0"))
    monkeypatch.setattr(torch_cuda, "torch_sees_cuda", lambda: True)
    monkeypatch.setenv("CC", "cc")
    found = rows()
    assert list(found) == ["CUDA", "TensorRT", "TensorRT for RTX", "torch-cuda", "ONNX Runtime"]
    assert all(row.works for row in found.values())
    assert found["torch-cuda"].detail.endswith(" on Scripted sm89")
    assert found["CUDA"].detail == "Scripted sm89, the driver knows CUDA 13.0"
    assert found["TensorRT"].detail.startswith("11.4.1, ")
    assert "sm89, sm120" in found["TensorRT for RTX"].detail


def test_a_gpu_that_plans_would_not_run_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_as(monkeypatch, lambda _: Gpu("NVIDIA H200 sm90", "13.0"))
    assert rows()["TensorRT for RTX"].detail.endswith("sm121: not for the GPU of this machine, sm90")


def test_what_slows_torch_down_and_what_keeps_it_from_the_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_as(monkeypatch, lambda _: Gpu("Scripted sm89", "13.0"))
    monkeypatch.setattr(torch_cuda, "torch_sees_cuda", lambda: True)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert rows()["torch-cuda"].detail.endswith("at half the speed without a C compiler")
    monkeypatch.setattr(torch_cuda, "torch_sees_cuda", lambda: False)
    assert not rows()["torch-cuda"].works
    assert "does not see the GPU" in rows()["torch-cuda"].detail


def test_what_is_missing_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    found = rows()
    assert not any(found[name].works for name in ("CUDA", "TensorRT", "TensorRT for RTX"))
    assert "no NVIDIA GPU" in found["CUDA"].detail
    assert found["TensorRT"].install == "pip install tensorrt-cu13"
    assert found["TensorRT for RTX"].install == "pip install tensorrt-rtx-cu13"


def test_a_driver_that_is_too_old_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(_flavour: str) -> Gpu:
        raise DriverTooOldError("expected a driver for CUDA 13.0")

    describe_as(monkeypatch, old)
    assert rows()["CUDA"].detail == "expected a driver for CUDA 13.0"
