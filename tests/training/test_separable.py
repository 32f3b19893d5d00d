"""lite2 starts as a network that answers like lite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.networks.models import SeparableConvolution, load_model
from roadmask.engines.networks.weights import Architecture, find_weights
from roadmask.sample_drive import SampleDriveConfig
from roadmask.training.networks import label_of
from roadmask.training.rendered import write_rendered_set
from roadmask.training.samples import read_training_sets
from roadmask.training.separable import fit_separable, second_moments, separable_start
from roadmask.training.settings import TrainingSettings
from roadmask.training.train import train_weights
from roadmask.training.views import ViewSource

SETTINGS = TrainingSettings(
    steps=1, batch=1, input_size=(96, 160), validation_share=0, patience=0, threads=1, precision="fp32"
)


def random_maps(channels: int) -> torch.Tensor:
    """Smooth maps, as features are: neighbours resemble each other."""
    generator = torch.Generator().manual_seed(3)
    return nn.functional.avg_pool2d(torch.randn(2, channels, 24, 24, generator=generator), 3, 1, 1)


def test_a_separable_kernel_is_found_again() -> None:
    torch.manual_seed(1)
    full, truth, fitted = nn.Conv2d(8, 8, 3, padding=1), SeparableConvolution(8), SeparableConvolution(8)
    full.weight.data = truth[1].weight.data * truth[0].weight.data.permute(1, 0, 2, 3)
    full.bias = truth[1].bias
    maps = random_maps(8)
    with torch.no_grad():
        assert fit_separable(full, fitted, second_moments([maps])) < 1e-6
        torch.testing.assert_close(fitted(maps), full(maps), atol=1e-3, rtol=1e-3)


def test_fitting_to_the_features_is_better_than_the_nearest_kernel() -> None:
    torch.manual_seed(2)
    full, by_kernel, by_features = nn.Conv2d(8, 8, 3, padding=1), SeparableConvolution(8), SeparableConvolution(8)
    maps = random_maps(8)
    with torch.no_grad():
        fit_separable(full, by_kernel, torch.eye(72, dtype=torch.float64))
        unexplained = fit_separable(full, by_features, second_moments([maps]))
        wanted = full(maps)
        error = ((by_features(maps) - wanted) ** 2).sum()
        assert error < 0.9 * ((by_kernel(maps) - wanted) ** 2).sum()
        energy = ((wanted - full.bias[:, None, None]) ** 2).sum()  # type: ignore[index]
        assert float(error / energy) == pytest.approx(unexplained, rel=0.02)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("separable") / "street"
    write_rendered_set(folder, SampleDriveConfig(height=96, width=160, seed=1001), [85, 130])
    return folder


@pytest.mark.ci
def test_lite2_starts_close_to_lite_and_is_recognised(rendered: Path, tmp_path: Path) -> None:
    lite, views = find_weights("lite"), ViewSource(read_training_sets([rendered]).images, SETTINGS)
    labels = label_of(lite, [1, 3])
    path, layers = tmp_path / "start.safetensors", list[int]()
    start = separable_start(lite, views.__getitem__, labels, path, lambda: layers.append(1))
    assert start.architecture is Architecture.LITE2
    assert len(layers) == 9
    full, separable = load_model(lite), load_model(start)
    image = torch.from_numpy(views[100].image.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        wanted, got = full.backbone(image), separable.backbone(image)
    for level in ("0", "1", "2", "3"):
        assert ((got[level] - wanted[level]) ** 2).sum() < 0.3 * (wanted[level] ** 2).sum()
    with pytest.raises(InputError, match="made from weights"):
        separable_start(start, views.__getitem__, labels, path, lambda: None)


def test_other_architectures_do_not_convert(rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected --from to be weights of resnet50, got lite"):
        train_weights([rendered], find_weights("lite"), SETTINGS, tmp_path, architecture=Architecture.RESNET50)
