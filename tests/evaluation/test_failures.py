"""Scenes in which masks fail are counted, and each gives an image."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from roadmask import PEDESTRIAN, Instances
from roadmask.evaluation.failures import caption, look_at_scene
from roadmask.sample_drive.failure_scenes import FailureScene, failure_scenes
from roadmask.sample_drive.shot import Shot, take_shot
from roadmask.sample_drive.verdict import Outcome
from roadmask.testing import ScriptedSegmenter
from support.failure_scenes import said_of_the_crowd

SCENES = {scene.name: scene for scene in failure_scenes()}


@pytest.fixture(scope="module")
def shots() -> dict[str, Shot]:
    return {name: take_shot(SCENES[name].drive(), SCENES[name].shown) for name in ("crowd", "night")}


@pytest.fixture(scope="module")
def said(shots: dict[str, Shot]) -> Instances:
    return said_of_the_crowd(shots["crowd"])


def short(name: str) -> FailureScene:
    scene = SCENES[name]
    return FailureScene(name, scene.actors, scene.shown, range(scene.shown, scene.shown + 1), scene.weather, "by day")


def test_an_image_is_written_and_predictions_are_counted(tmp_path: Path, said: Instances) -> None:
    result = look_at_scene(short("crowd"), ScriptedSegmenter([said]), tmp_path / "new")
    assert result.path == tmp_path / "new" / "crowd.png"
    assert result.shown == result.whole
    assert result.dry_shown is None
    assert result.shown.missed == result.shown.truth[PEDESTRIAN] - result.shown.found[PEDESTRIAN]
    assert result.shown.outcomes[Outcome.AGAIN] == 1
    image = cv2.imread(str(result.path))
    assert image.shape[1] == 1280
    assert (image == 255).all(axis=2).sum() > 500, "dashes around those who were missed"


def test_the_same_is_looked_at_without_the_weather_too(tmp_path: Path, shots: dict[str, Shot]) -> None:
    """Finds nobody at night and everybody by day."""
    truth = shots["night"].truth.instances
    segmenter = ScriptedSegmenter([Instances.empty(truth.image_size), truth])
    result = look_at_scene(short("night"), segmenter, tmp_path)
    assert result.shown.found_of(PEDESTRIAN) == "0 of 8"
    assert result.dry_shown.found_of(PEDESTRIAN) == "8 of 8"
    title, lines = caption(short("night"), result.shown, result.dry_shown)
    assert title == "Night: found 0 of 8 pedestrians and 0 of 4 cars"
    assert lines == ["The same frame by day: 8 of 8 pedestrians and 4 of 4 cars."]
    assert list(result.tallies(whole=False)) == ["night", "  the same by day"]
    assert list(result.tallies(whole=True).values()) == [result.whole, result.dry_whole]
