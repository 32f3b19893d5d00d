"""Images of a label set are read from where they lie, and `train` learns from them in any order."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError
from roadmask.streaming.sources import open_camera
from roadmask.training.labels.description import LabelSource
from roadmask.training.labels.frames import image_files
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.records import LabelState
from roadmask.training.labels.writing import LabelWriter
from roadmask.training.samples import read_training_sets
from support.label_sets import SIZE, image_of, label_of, made_set, mask_of


def grey(folder: Path, count: int, start: int = 0) -> list[np.ndarray]:
    """Writes images of one grey each."""
    folder.mkdir(parents=True)
    images = [np.full((*SIZE, 3), 40 + start + 20 * n, np.uint8) for n in range(count)]
    for n, image in enumerate(images):
        cv2.imwrite(str(folder / f"{n:03d}.png"), image)
    return images


def set_with_files(folder: Path, drive: str = "photos") -> Path:
    pictures = folder.parent / f"{folder.name}-{drive}"
    grey(pictures, 3)
    records = [
        image_of(n, drive, file=f"../{pictures.name}/{n:03d}.png", time_ns=None,
                 sha256=hashlib.sha256((pictures / f"{n:03d}.png").read_bytes()).hexdigest())
        for n in range(3)
    ]  # fmt: skip
    return made_set(folder, [*records, label_of(0, 1, drive), label_of(1, 2, drive, class_name="pedestrian")])


def set_of_recording(folder: Path) -> Path:
    """Frames 1 and 3 of a folder of images that is a recording."""
    pictures = folder.parent / "clip"
    grey(pictures, 5)
    described = open_camera("clip", [str(pictures)]).describe()
    with LabelWriter(folder, {"car": 3}) as writer:
        source = LabelSource("clip", specs=("../clip",), recording=described)
        writer.add([image_of(1, "clip"), image_of(3, "clip"), label_of(3, 1, "clip")], source)
    return folder


def test_frames_of_a_recording_are_decoded_once(tmp_path: Path) -> None:
    labels = read_label_set(set_of_recording(tmp_path / "set"))
    files = image_files(labels)
    assert [cv2.imread(str(files["clip", n])).mean() for n in (1, 3)] == pytest.approx([60, 100], abs=1)
    shutil.rmtree(tmp_path / "clip")
    assert image_files(labels) == files, "they are there already"
    shutil.rmtree(labels.path / "frames")
    grey(tmp_path / "clip", 5, start=9)
    with pytest.raises(InputError, match=r"the recording of clip that was labelled, .* has other content"):
        image_files(labels)


def test_a_file_that_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    labels = read_label_set(set_with_files(tmp_path / "set"))
    assert set(image_files(labels)) == {("photos", 0), ("photos", 1), ("photos", 2)}
    path = tmp_path / "set-photos" / "001.png"
    path.write_bytes(b"another")
    with pytest.raises(InputError, match=r"001\.png changed since it was labelled as photos/1"):
        image_files(labels)
    assert set(image_files(labels, [("photos", 0)])) == {("photos", 0)}
    path.unlink()
    with pytest.raises(InputError, match=r"cannot read .*001\.png, the image photos/1"):
        image_files(labels)
    unknown = read_label_set(made_set(tmp_path / "bare", [image_of(0), label_of(0)]))
    with pytest.raises(InputError, match=r"add specs to \[sources\.city\]"):
        image_files(unknown)


def test_training_reads_label_sets(tmp_path: Path) -> None:
    folder = set_with_files(tmp_path / "set")
    with LabelWriter(folder) as writer:
        labels = writer.labels.labels
        writer.decide(
            [replace(labels["photos", 1, 2], object=5, counts=mask_of(60, 0, 1, 60))], LabelState.FIXED, "ada"
        )
        writer.decide([labels["photos", 1, 2]], LabelState.ACCEPTED, "ada")
        writer.decide([replace(label_of(2, 8, "photos"), crowd=True)], LabelState.FIXED, "ada")
        writer.decide([label_of(2, 9, "photos")], LabelState.REJECTED, "ada")
    one, two, three = read_training_sets([folder]).images
    assert (one.name, one.drive, one.size) == ("set/photos/000000", "set/photos", SIZE)
    [car] = one.objects
    assert (car.category_id, car.weight, car.box, car.crowd) == (3, 0.75, (10, 10, 40, 30), False)
    assert [(each.weight, each.crowd) for each in two.objects] == [(1.0, False), (1.0, True)], "thin ones are regions"
    assert [each.crowd for each in three.objects] == [True]
    assert one.read().mean() == pytest.approx(40)


def test_the_order_of_sets_and_of_lines_changes_nothing(tmp_path: Path) -> None:
    folders = [set_with_files(tmp_path / "a"), set_of_recording(tmp_path / "b"), set_with_files(tmp_path / "x" / "a")]
    before = read_training_sets(folders)
    path = folders[0] / "labels.jsonl"
    path.write_text("".join(f"{line}\n" for line in reversed(path.read_text().splitlines())))
    after = read_training_sets([*reversed(folders), folders[1]])
    assert [image.path for image in after.images] == [image.path for image in before.images]
    assert after.digest == before.digest
    assert after.label_versions == before.label_versions
    assert len(set(before.label_versions)) == 2, "two of them label the same"
    assert before.category_ids == (1, 3)


def test_a_set_without_objects_and_sets_that_disagree_are_refused(tmp_path: Path) -> None:
    empty = made_set(tmp_path / "empty", [])
    with pytest.raises(InputError, match="found none to learn from"):
        read_training_sets([empty])
    one = made_set(tmp_path / "one", [image_of(), label_of(class_name="cyclist")], {"cyclist": 101})
    two = made_set(tmp_path / "two", [image_of(), label_of(class_name="cyclist")], {"cyclist": 102})
    for folder in (one, two):
        (folder / "frames" / "city").mkdir(parents=True)
        cv2.imwrite(str(folder / "frames" / "city" / "000000.jpg"), np.zeros((*SIZE, 3), np.uint8))
    assert read_training_sets([one]).class_names == {101: "cyclist"}
    with pytest.raises(InputError, match="another label set has cyclist = 101: change"):
        read_training_sets([one, two])
