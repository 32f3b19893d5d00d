"""The scenes in which masks fail: drawn alike each time, and judged as the sample drive is scored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.instances import Instances
from roadmask.sample_drive import SampleDrive, score_drive
from roadmask.sample_drive.failure_scenes import failure_scenes
from roadmask.sample_drive.night import night
from roadmask.sample_drive.people import PersonLook
from roadmask.sample_drive.rain import rain
from roadmask.sample_drive.scene import ACTORS, Rider
from roadmask.sample_drive.shot import Shot, take_shot
from roadmask.sample_drive.verdict import Outcome, judge
from support.failure_scenes import said_of_the_crowd

SCENES = {scene.name: scene for scene in failure_scenes()}


@pytest.fixture(scope="module")
def shots() -> dict[str, Shot]:
    return {name: take_shot(scene.drive(), scene.shown) for name, scene in SCENES.items()}


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_drawn_alike_each_time(name: str, shots: dict[str, Shot]) -> None:
    scene, shot = SCENES[name], shots[name]
    again = take_shot(scene.drive(), scene.shown)
    assert np.array_equal(scene.image(shot), scene.image(again))


@pytest.mark.parametrize(
    ("name", "people", "cars"),
    [("night", 8, 4), ("rain", 8, 4), ("riders", 7, 2), ("crowd", 17, 0)],
)
def test_the_truth_has_what_the_scene_says(name: str, people: int, cars: int, shots: dict[str, Shot]) -> None:
    truth = shots[name].truth.instances
    tall = truth.boxes[:, 3] - truth.boxes[:, 1] >= 20
    assert (truth.category_ids[tall] == PEDESTRIAN).sum() == people
    assert (truth.category_ids[tall] == CAR).sum() == cars


@pytest.mark.parametrize("weather", [night, rain])
def test_weather_changes_the_light_and_nothing_else(weather: object, shots: dict[str, Shot]) -> None:
    shot = shots["night"]
    before = shot.image.copy()
    image = weather(shot, 3)
    assert image.shape == before.shape
    assert image.dtype == np.uint8
    assert np.array_equal(shot.image, before)
    assert image.mean() < 0.85 * before.mean(), "less light"
    assert not np.array_equal(image, weather(shot, 4)), "noise is drawn anew"


def test_night_is_dark_but_for_lamps(shots: dict[str, Shot]) -> None:
    image = night(shots["night"])
    assert np.median(image) < 64
    assert image.max() > 240
    assert image[~np.isfinite(shots["night"].depth)].mean() < 40, "the sky"


def test_rain_hides_what_is_far(shots: dict[str, Shot]) -> None:
    shot = shots["rain"]
    image = rain(shot)
    far, near = ((shot.depth > 40) & np.isfinite(shot.depth), (shot.depth < 12) & ~shot.ground)
    for part, kept in ((far, 0.75), (near, 1.0)):
        assert image[part].std() < kept * shot.image[part].std()


def test_a_shot_knows_how_far_things_are(shots: dict[str, Shot]) -> None:
    shot = shots["night"]
    assert shot.depth.shape == shot.image.shape[:2]
    assert np.isinf(shot.depth[0]).any()
    floor = shot.points()[shot.ground]
    assert np.abs(floor[:, 1]).max() < 1e-6, "the ground is at height 0"
    assert not shot.ground[shot.ids > 0].any()


@pytest.mark.parametrize("heading", [(0.0, 4.0), (4.0, 0.0), (0.0, -4.0)])
def test_a_rider_is_a_pedestrian_whose_bicycle_is_not(heading: tuple[float, float]) -> None:
    here = take_shot(SampleDrive(actors=()), 100).camera
    rider = Rider(PersonLook(), (176, 36, 32), (4.0, 0.5, here.z + 7.0), heading)
    drive = SampleDrive(actors=(rider,))
    image, truth = drive.frame(100)
    assert truth.instances.category_ids.tolist() == [PEDESTRIAN]
    empty, _ = drive.frame(100, without=frozenset({1}))
    changed = np.flatnonzero((np.abs(image.astype(int) - empty).max(axis=2) > 24).any(axis=1))
    assert changed[-1] > truth.instances.boxes[0, 3] + 3, "wheels reach below the feet"
    assert 0.4 < truth.visible_fraction[0] <= 1


def test_pedals_turn_with_the_way() -> None:
    rider = Rider(PersonLook(), (0, 0, 0), (0.0, 0.0, 0.0), (3.0, 4.0))
    first, second = rider.pose(0.0), rider.pose(1.0)
    assert second.stride - first.stride == pytest.approx(1.0)  # five metres
    assert (second.x, second.z) == (3.0, 4.0)
    assert first.heading == pytest.approx(math.atan2(3, 4))


def test_no_more_actors_than_ids() -> None:
    with pytest.raises(ConfigError, match="up to 255 actors"):
        SampleDrive(actors=ACTORS[:44] * 6)


@pytest.fixture(scope="module")
def said(shots: dict[str, Shot]) -> Instances:
    return said_of_the_crowd(shots["crowd"])


def test_each_prediction_comes_to_something(shots: dict[str, Shot], said: Instances) -> None:
    verdict = judge(said, shots["crowd"].truth)
    assert verdict.outcomes[:4] == (Outcome.FOUND, Outcome.AGAIN, Outcome.ROUGH, Outcome.NOTHING)
    assert verdict.several.tolist() == [False, False, False, False, True]


def test_counts_are_those_of_the_score(shots: dict[str, Shot], said: Instances) -> None:
    truth = shots["crowd"].truth
    verdict = judge(said, truth)
    score = score_drive([said], [truth])[PEDESTRIAN]
    assert verdict.number(Outcome.FOUND) == score.found
    assert sum(verdict.number(o) for o in (Outcome.AGAIN, Outcome.ROUGH, Outcome.NOTHING)) == score.false
    assert verdict.missed.sum() == score.truth - score.found


def test_the_right_shape_of_another_class_is_wrong(shots: dict[str, Shot], said: Instances) -> None:
    as_cars = Instances(said.image_size, said.boxes, said.scores, np.full(len(said), CAR, np.int64), said.masks)
    assert set(judge(as_cars, shots["crowd"].truth).outcomes) == {Outcome.NOTHING}


def test_boxes_alone_are_refused(shots: dict[str, Shot], said: Instances) -> None:
    with pytest.raises(InputError, match="boxes only"):
        judge(Instances(said.image_size, said.boxes, said.scores, said.category_ids), shots["crowd"].truth)
