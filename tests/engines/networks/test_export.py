"""How exported graphs are cached."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roadmask.engines import EngineError
from roadmask.engines.networks import export
from roadmask.engines.networks.export import exported_graphs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights


class TestCache:
    def test_unwritable(self, lite: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path / "file"))
        with pytest.raises(EngineError, match="set ROADMASK_CACHE"):
            exported_graphs(lite, (64, 64), GraphSettings())

    def test_two_at_once_export_once(self, lite: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []

        def slow_export(*_: object) -> tuple[bytes, bytes]:
            calls.append(1)
            time.sleep(0.2)
            return b"detector", b"masks"

        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.setattr(export, "export_graphs", slow_export)
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(lambda _: exported_graphs(lite, (64, 64), GraphSettings()), range(4)))
        assert len(calls) == 1
        [files] = found
        assert (files.detector.read_bytes(), files.masks.read_bytes()) == (b"detector", b"masks")
        assert {path.suffix for path in files.detector.parent.iterdir()} <= {".onnx", ".lock"}

    def test_key_holds_all_that_matters(self, lite: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
        monkeypatch.setattr(export, "export_graphs", lambda *_: (b"", b""))
        other = Weights(lite.name, lite.path, "0" * 64, lite.architecture)
        cases = [
            (lite, (64, 64), GraphSettings()),
            (lite, (64, 96), GraphSettings()),
            (lite, (64, 64), GraphSettings(proposals=64)),
            (lite, (64, 64), GraphSettings(nms_steps=8)),
            (other, (64, 64), GraphSettings()),
        ]
        assert len({exported_graphs(*case).detector for case in cases}) == len(cases)
