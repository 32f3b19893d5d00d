"""The scenes in which masks fail: drawn alike each time, and judged as the sample drive is scored."""

from __future__ import annotations

import math
from importlib.machinery import SourceFileLoader
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import ConfigError, InputError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.engines.scripted import ScriptedSegmenter
from roadmask.sample_drive import SampleDrive, score_drive
from roadmask.sample_drive.failure_scenes import FailureScene, failure_scenes
from roadmask.sample_drive.night import night
from roadmask.sample_drive.people import PersonLook
from roadmask.sample_drive.rain import rain
from roadmask.sample_drive.scene import ACTORS, Rider
from roadmask.sample_drive.shot import Shot, take_shot
from roadmask.sample_drive.verdict import Outcome, judge

SCENES = {scene.name: scene for scene in failure_scenes()}
DEMO = Path(__file__).resolve().parents[2] / "demos" / "03_where_it_fails.py"
demo = SourceFileLoader("where_it_fails", str(DEMO)).load_module()


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


def rows(instances: Instances, dense: list[np.ndarray], category_ids: list[int]) -> Instances:
    masks = np.stack(dense)
    boxes = np.zeros((len(dense), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        ys, xs = np.nonzero(mask)
        box[:] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    scores = np.full(len(dense), 0.9, np.float32)
    size = instances.image_size
    return Instances(size, boxes, scores, np.array(category_ids, np.int64), RleMasks.from_dense(masks, size))


@pytest.fixture(scope="module")
def said(shots: dict[str, Shot]) -> Instances:
    """Of the crowd: one right, the same again, a strip of another, something in the sky, and two as one."""
    truth = shots["crowd"].truth.instances
    dense = list(truth.masks.to_rle().dense())
    order = np.argsort(-truth.masks.to_rle().area)
    right, other, one, two = (dense[i] for i in order[:4])
    upper = other.copy()
    upper[np.flatnonzero(other.any(axis=1))[len(np.flatnonzero(other.any(axis=1))) // 3] :] = False
    sky = np.zeros_like(right)
    sky[5:40, 300:330] = True
    again = cv2.erode(right.astype(np.uint8), np.ones((3, 3))).astype(bool)
    return rows(truth, [right, again, upper, sky, one | two], [PEDESTRIAN] * 5)


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


def short(name: str) -> FailureScene:
    scene = SCENES[name]
    return FailureScene(name, scene.actors, scene.shown, range(scene.shown, scene.shown + 1), scene.weather, "by day")


def test_the_demo_writes_an_image_and_counts(tmp_path: Path, said: Instances) -> None:
    result = demo.run_scene(short("crowd"), ScriptedSegmenter([said]), tmp_path / "new")
    assert result.path == tmp_path / "new" / "crowd.png"
    assert result.shown == result.whole
    assert result.dry_shown is None
    assert result.shown.missed == result.shown.truth[PEDESTRIAN] - result.shown.found[PEDESTRIAN]
    assert result.shown.outcomes[Outcome.AGAIN] == 1
    image = cv2.imread(str(result.path))
    assert image.shape[1] == 1280
    assert (image == 255).all(axis=2).sum() > 500, "dashes around those who were missed"


def test_the_demo_looks_without_the_weather_too(tmp_path: Path, shots: dict[str, Shot]) -> None:
    """Finds nobody at night and everybody by day."""
    truth = shots["night"].truth.instances
    segmenter = ScriptedSegmenter([Instances.empty(truth.image_size), truth])
    result = demo.run_scene(short("night"), segmenter, tmp_path)
    assert result.shown.found_of(PEDESTRIAN) == "0 of 8"
    assert result.dry_shown.found_of(PEDESTRIAN) == "8 of 8"
    title, lines = demo.caption(short("night"), result.shown, result.dry_shown)
    assert title == "Night: found 0 of 8 pedestrians and 0 of 4 cars"
    assert lines == ["The same frame by day: 8 of 8 pedestrians and 4 of 4 cars."]
    assert demo.table("", [result], whole=False).row_count == 2
