"""Training end to end on rendered frames: it learns, it resumes to the same bytes, and it refuses what it must."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from roadmask.engines import load_segmenter
from roadmask.engines.errors import ConfigError, InputError, RunError
from roadmask.engines.networks.weights import Weights, find_weights
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.training.augment import NO_JITTER
from roadmask.training.checkpoint import newest_checkpoint
from roadmask.training.rendered import write_rendered_set
from roadmask.training.settings import TrainingSettings
from roadmask.training.train import WEIGHTS_NAME, train_weights
from roadmask.training.trainer import TrainingProgress

DRIVE = SampleDriveConfig(height=96, width=160, seed=1001)
QUICK = TrainingSettings(
    steps=4, batch=1, input_size=(96, 160), validation_share=0, patience=0, threads=1, precision="fp32"
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "street"
    write_rendered_set(folder, DRIVE, [85, 130])
    return folder


@pytest.fixture(scope="module")
def lite() -> Weights:
    return find_weights("lite")


@pytest.fixture(scope="module")
def whole_run(rendered: Path, lite: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four steps that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert train_weights([rendered], lite, QUICK, out).result.finished
    return out


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_losses_fall_to_less_than_half_from_fresh_heads(rendered: Path, lite: Weights, tmp_path: Path) -> None:
    settings = TrainingSettings(
        steps=30,
        batch=1,
        input_size=(96, 160),
        rate=0.04,
        fresh_heads=True,
        jitter=NO_JITTER,
        paste=0,
        repeat_threshold=0,
        validation_share=0,
        patience=0,
        threads=1,
        precision="fp32",
    )
    sums: list[float] = []
    train_weights(
        [rendered], lite, settings, tmp_path, on_progress=lambda progress: sums.append(sum(progress.losses.values()))
    )
    assert sum(sums[-3:]) / 3 < sums[0] / 2


def test_what_comes_out_runs_and_says_what_it_is(whole_run: Path, rendered: Path) -> None:
    weights = whole_run / WEIGHTS_NAME
    with safe_open(weights, framework="numpy") as file:
        about = json.loads(file.metadata()["roadmask"])
    assert about["architecture"] == "lite"
    assert set(about["classes"].values()) == {"pedestrian", "car"}
    assert len(about["images_sha256"]) == 64
    image = SampleDrive(DRIVE).render(85)
    [found] = load_segmenter(weights, engine="torch", input_size=(96, 160), score_min=0.05)([image])
    assert found.image_size == image.shape[:2]
    assert (whole_run / "curves.png").stat().st_size > 1000
    assert (whole_run / "predictions.png").stat().st_size > 1000
    rows = [json.loads(line) for line in (whole_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


def test_an_interrupted_run_ends_with_the_same_bytes(
    whole_run: Path, rendered: Path, lite: Weights, tmp_path: Path
) -> None:
    done = [0]

    def follow(progress: TrainingProgress) -> None:
        done[0] = progress.step

    for stop in (1, 3):
        run = train_weights(
            [rendered], lite, QUICK, tmp_path, resume=True, on_progress=follow, stop=lambda at=stop: done[0] >= at
        )
        assert not run.result.finished
        assert not run.path.exists()
    assert train_weights([rendered], lite, QUICK, tmp_path, resume=True).result.finished
    assert digest(tmp_path / WEIGHTS_NAME) == digest(whole_run / WEIGHTS_NAME)
    assert (tmp_path / "metrics.jsonl").read_text() == (whole_run / "metrics.jsonl").read_text()


def test_the_order_of_sets_and_of_lines_changes_nothing(
    whole_run: Path, rendered: Path, lite: Weights, tmp_path: Path
) -> None:
    other = tmp_path / "street"
    shutil.copytree(rendered, other)
    document = json.loads((other / "instances.json").read_text())
    for part in document.values():
        part.reverse()
    (other / "instances.json").write_text(json.dumps(document))
    train_weights([other], lite, QUICK, tmp_path / "run")
    assert digest(tmp_path / "run" / WEIGHTS_NAME) == digest(whole_run / WEIGHTS_NAME)


def test_a_run_is_not_resumed_with_other_settings_images_or_weights(
    whole_run: Path, rendered: Path, lite: Weights, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="holds a run already"):
        train_weights([rendered], lite, QUICK, whole_run)
    other = TrainingSettings(
        steps=4, batch=2, input_size=(96, 160), validation_share=0, patience=0, threads=1, precision="fp32"
    )
    with pytest.raises(InputError, match="batch: 1 then, 2 now"):
        train_weights([rendered], lite, other, whole_run, resume=True)
    write_rendered_set(tmp_path / "street", DRIVE, [86])
    with pytest.raises(InputError, match="images: "):
        train_weights([tmp_path / "street"], lite, QUICK, whole_run, resume=True)


def test_a_damaged_checkpoint_is_named(whole_run: Path, rendered: Path, lite: Weights, tmp_path: Path) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    newest = newest_checkpoint(tmp_path / "run" / "checkpoint")
    assert newest is not None
    (newest / "shard-00.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"step-00000004 is damaged"):
        train_weights([rendered], lite, QUICK, tmp_path / "run", resume=True)


def test_infinite_losses_stop_the_run_and_name_the_last_good_checkpoint(
    rendered: Path, lite: Weights, tmp_path: Path
) -> None:
    settings = TrainingSettings(
        steps=30,
        batch=2,
        input_size=(96, 160),
        rate=1e12,
        gradient_max=1e12,
        validation_share=0,
        patience=0,
        threads=1,
        precision="fp32",
    )
    with pytest.raises(RunError, match=r"infinite in step \d+ .*checkpoint is none.*--rate"):
        train_weights([rendered], lite, settings, tmp_path)
    assert not (tmp_path / WEIGHTS_NAME).exists()


def test_what_makes_no_sense_is_refused_before_anything_starts() -> None:
    for wrong in (
        {},
        {"steps": 5, "minutes": 1.0},
        {"steps": 0},
        {"steps": 5, "input_size": (100, 160)},
        {"steps": 5, "paste": 2.0},
        {"steps": 5, "rate": 0.0},
    ):
        with pytest.raises(ConfigError):
            TrainingSettings(**wrong)  # type: ignore[arg-type]
