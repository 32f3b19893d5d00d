"""Weights are found, checked and never unpickled; what does not fit says so."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from roadmask.engines import EngineError, WeightsError
from roadmask.engines.networks import cache, weights
from roadmask.engines.networks.models import build_model, load_model
from roadmask.engines.networks.weights import (
    LITE_FILE,
    LITE_SHA256,
    Architecture,
    Weights,
    find_weights,
    load_state_dict,
)


def header_only(architecture: Architecture) -> dict[str, Any]:
    """The tensors that tell an architecture, and no others."""
    shapes = weights._FINGERPRINTS[architecture]
    return {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}


def test_lite_is_what_was_measured() -> None:
    lite = find_weights("lite")
    assert lite == Weights("lite", LITE_FILE, LITE_SHA256, Architecture.LITE)


def test_fingerprints_are_those_of_the_networks() -> None:
    for architecture in Architecture:
        state = build_model(architecture).state_dict()
        for name, shape in weights._FINGERPRINTS[architecture].items():
            assert tuple(state[name].shape) == shape


def test_category_ids() -> None:
    assert Architecture.LITE.category_ids == (0, 1, 2, 3, 4, 6, 8)
    ids = Architecture.RESNET50.category_ids
    assert len(ids) == 91
    assert (ids[1], ids[3], ids[90]) == (1, 3, 90)
    assert ids[12] == 0, "COCO left 12 unused"


def test_lite_that_was_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "roadmask-lite.safetensors"
    damaged.write_bytes(LITE_FILE.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights, "LITE_FILE", damaged)
    with pytest.raises(WeightsError, match=r"SHA-256.*reinstall"):
        find_weights("lite")


class TestFile:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="not found"):
            find_weights(tmp_path / "none.safetensors")
        with pytest.raises(WeightsError, match=r"lite, lite2, resnet50, resnet50_v2 or an existing"):
            find_weights("resnet51")

    @pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
    def test_empty(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        with pytest.raises(WeightsError, match="is empty"):
            find_weights(tmp_path / name)

    @pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
    def test_text_renamed(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("these are no weights, but a text of some length\n" * 20)
        with pytest.raises(WeightsError, match=r"not a (readable weights file|torch zip file)"):
            find_weights(tmp_path / name)

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_text("x")
        with pytest.raises(WeightsError, match=r"expected weights as \.safetensors"):
            find_weights(tmp_path / "model.onnx")

    def test_truncated(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        path.write_bytes(LITE_FILE.read_bytes()[:100_000])
        with pytest.raises(WeightsError, match="not a readable weights file"):
            find_weights(path)

    @pytest.mark.parametrize("architecture", list(Architecture))
    def test_architecture_is_recognised(self, tmp_path: Path, architecture: Architecture) -> None:
        save_file(header_only(architecture), tmp_path / "w.safetensors")
        assert find_weights(tmp_path / "w.safetensors").architecture is architecture

    def test_another_architecture(self, tmp_path: Path) -> None:
        save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, tmp_path / "resnet18.safetensors")
        with pytest.raises(WeightsError, match="another architecture") as caught:
            find_weights(tmp_path / "resnet18.safetensors")
        for part in ("lite", "resnet50_v2", "roi_heads.box_head", "conv1.weight"):
            assert part in str(caught.value)

    def test_another_number_of_classes(self, tmp_path: Path) -> None:
        tensors = header_only(Architecture.LITE)
        tensors["roi_heads.box_predictor.cls_score.weight"] = np.zeros((3, 512), np.float32)
        save_file(tensors, tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match=r"\(7, 512\), the file \(3, 512\)"):
            find_weights(tmp_path / "w.safetensors")

    def test_tensors_that_lack_or_do_not_fit(self, tmp_path: Path) -> None:
        state = {name: value.numpy() for name, value in load_state_dict(LITE_FILE).items()}
        del state["rpn.head.cls_logits.bias"]
        save_file(state, tmp_path / "lacking.safetensors")
        with pytest.raises(WeightsError, match=r"1 tensors: rpn.head.cls_logits.bias: missing"):
            load_model(find_weights(tmp_path / "lacking.safetensors"))
        state["rpn.head.cls_logits.bias"] = np.zeros(5, np.float32)
        save_file(state, tmp_path / "wrong.safetensors")
        with pytest.raises(WeightsError, match=r"rpn.head.cls_logits.bias: expected \(3,\), got \(5,\)"):
            load_model(find_weights(tmp_path / "wrong.safetensors"))


class TestTorchFile:
    def test_state_dict(self, tmp_path: Path) -> None:
        path = tmp_path / "lite.pth"
        torch.save(load_state_dict(LITE_FILE), path)
        found = find_weights(path)
        assert (found.name, found.architecture) == ("lite.pth", Architecture.LITE)
        load_model(found)
        remembered = cache.folder() / "architectures" / f"{found.sha256}.json"
        assert json.loads(remembered.read_text()) == "lite"
        assert find_weights(path) == found

    @pytest.mark.parametrize("zipped", [True, False])
    def test_pickled_code_is_refused_and_does_not_run(self, tmp_path: Path, zipped: bool) -> None:
        trace = tmp_path / "it-ran"

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (trace,)

        path = tmp_path / "trap.pth"
        if zipped:
            torch.save({"roi_heads.box_head.fc6.weight": Trap()}, path)
        else:
            path.write_bytes(pickle.dumps({"weight": Trap()}))
        with pytest.raises(WeightsError, match=r"pickled code|not a torch zip file"):
            find_weights(path)
        assert not trace.exists()

    @pytest.mark.parametrize("state", [[torch.zeros(1)], {"epoch": 3, "model": {}}, torch.zeros(3)])
    def test_not_a_state_dict(self, tmp_path: Path, state: Any) -> None:
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"state dict.*save_file"):
            find_weights(tmp_path / "w.pth")


class TestPublished:
    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> None:
            raise URLError("no network")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
        with pytest.raises(WeightsError) as caught:
            find_weights("resnet50")
        assert "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth" in str(caught.value)
        assert str(tmp_path) in str(caught.value)

    def test_names_are_torchvisions(self) -> None:
        from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights, MaskRCNN_ResNet50_FPN_Weights

        published = {weights._PUBLISHED_AT + name for name in weights._PUBLISHED.values()}
        assert published == {
            MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url,
            MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url,
        }

    def test_damaged_in_the_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        path = tmp_path / "hub" / "checkpoints" / "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"
        path.parent.mkdir(parents=True)
        shutil.copy(LITE_FILE, path)
        with pytest.raises(WeightsError, match=r"damaged.*73cbd019.*delete it"):
            find_weights("resnet50_v2")

    def test_torchvision_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setitem(__import__("sys").modules, "torch.hub", None)
        with pytest.raises(EngineError, match=r"pip install 'roadmask\[torch\]'"):
            find_weights("resnet50")
