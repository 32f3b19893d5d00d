"""Training sets that are wrong are refused before step 1; what is read is what was labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError
from roadmask.training.order import ImageOrder, repeat_factors
from roadmask.training.samples import TrainingSet, read_training_sets
from roadmask.training.split import split_by_drive


def write_set(folder: Path, names: list[str], change: dict[str, Any] | None = None, classes: str = "car") -> Path:
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(sum(folder.name.encode()))
    images, annotations = [], []
    for number, name in enumerate(names, start=1):
        noise = cv2.GaussianBlur(rng.integers(0, 255, (60, 80, 3), np.uint8), (21, 21), 0)
        cv2.imwrite(str(folder / "images" / name), noise)
        images.append({"id": number, "file_name": name, "height": 60, "width": 80})
        ring = [10.0, 10.0, 40.0, 10.0, 40.0, 30.0, 10.0, 30.0]
        row = {"id": number, "image_id": number, "category_id": 3, "segmentation": [ring], "area": 600, "iscrowd": 0}
        annotations.append(row | (change or {}) if number == 1 else row)
    document = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": classes}]}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def test_labels_are_read_with_their_weights_and_drives(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "night", ["a_0001.png", "a_0002.png", "b-7.png", "000000000123.png"], {"score": 0.7})
    training = read_training_sets([folder, folder])
    assert [image.name for image in training.images] == [
        "night/000000000123.png",
        "night/a_0001.png",
        "night/a_0002.png",
        "night/b-7.png",
    ]
    assert [image.drive for image in training.images] == ["night/000000000123", "night/a", "night/a", "night/b"]
    first = training.images[1]
    assert first.objects[0].weight == 0.7
    assert first.objects[0].box == (10, 10, 40, 30)
    assert first.masks().sum() == 600
    assert training.images[2].objects[0].weight == 1
    assert training.category_ids == (3,)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"segmentation": [[10.0, 10.0, 40.0, 10.0, 40.0, 10.4, 10.0, 10.4]]}, "less than 2 pixels wide or high"),
        ({"segmentation": [[10.0, 10.0, 40.0, 10.0]]}, "at least three x, y pairs"),
        ({"score": 1.5}, "from 0 to 1, got 1.5"),
        ({"category_id": 9}, "category_id 9 is not among"),
        ({"segmentation": {"size": [60, 80], "counts": "nonsense~"}}, "not in COCO's form"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_training_sets([write_set(tmp_path / "set", ["a.png", "b.png"], change)])


def test_folders_classes_and_images_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one folder"):
        read_training_sets([])
    with pytest.raises(InputError, match=r"no set\.toml and no instances\.json"):
        read_training_sets([tmp_path])
    with pytest.raises(InputError, match="unicorn, which roadmask does not know"):
        read_training_sets([write_set(tmp_path / "one", ["a.png"], classes="unicorn")])
    folder = write_set(tmp_path / "two", ["a.png", "b.png"])
    (folder / "images" / "b.png").unlink()
    with pytest.raises(InputError, match=r"names 1 images that are not in .*b\.png"):
        read_training_sets([folder])
    with pytest.raises(InputError, match="none but crowds"):
        read_training_sets([write_set(tmp_path / "three", ["a.png"], {"iscrowd": 1})])


def test_broken_images_and_images_of_another_size_are_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", ["a.png", "b.png"])
    (folder / "images" / "a.png").write_bytes(b"no image")
    cv2.imwrite(str(folder / "images" / "b.png"), np.zeros((30, 40, 3), np.uint8))
    broken, other = read_training_sets([folder]).images
    with pytest.raises(InputError, match=r"a\.png: expected an image"):
        broken.read()
    with pytest.raises(InputError, match="is 40 x 30, its labels say 80 x 60"):
        other.read()


def test_a_split_keeps_drives_and_images_that_look_alike_together(tmp_path: Path) -> None:
    names = [f"{drive}_{n:03d}.png" for drive in "abcdefghij" for n in range(4)]
    folder = write_set(tmp_path / "set", names)
    # one image of another drive is a copy: the two drives belong together
    (folder / "images" / "j_000.png").write_bytes((folder / "images" / "a_000.png").read_bytes())
    split = split_by_drive(read_training_sets([folder]), 0.2)
    learnt, validated = ({image.drive for image in side} for side in (split.training, split.validation))
    assert learnt
    assert validated
    assert not learnt & validated
    assert ("set/a" in learnt) == ("set/j" in learnt)
    assert 4 <= len(split.validation) <= 16
    assert len(split.training) + len(split.validation) == 40
    assert not split_by_drive(read_training_sets([folder]), 0).validation
    with pytest.raises(InputError, match=r"from 0 to 0\.5"):
        split_by_drive(read_training_sets([folder]), 0.9)


def test_images_of_rare_classes_are_seen_more_often_and_the_order_is_a_function_of_place(tmp_path: Path) -> None:
    many = read_training_sets([write_set(tmp_path / "many", [f"n{n}x.png" for n in range(40)])])
    rare = many.images[0]
    rare = type(rare)(
        rare.name,
        rare.path,
        rare.size,
        rare.drive,
        tuple(type(o)(1, o.counts, o.box, 1.0, False) for o in rare.objects),
    )
    training = TrainingSet((rare, *many.images[1:]), ())
    factors = repeat_factors(training.images, 0.4)
    assert factors[0] == pytest.approx((0.4 * 40) ** 0.5)
    assert (factors[1:] == 1).all()
    order = ImageOrder(factors, seed=3)
    seen = [order[place] for place in range(43 * 20)]
    assert 3 * 20 < seen.count(0) < 5 * 20
    assert [ImageOrder(factors, seed=3)[place] for place in (800, 5, 430)] == [seen[800], seen[5], seen[430]]
    assert [ImageOrder(factors, seed=4)[place] for place in range(50)] != seen[:50]
