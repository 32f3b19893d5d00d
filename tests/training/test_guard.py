"""The evaluation sets stay out of training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import InputError
from roadmask.sample_drive import SampleDriveConfig
from roadmask.training.guard import NEAR_BITS, coco_id, dhash, evaluation_images, is_plain, without_evaluation_images
from roadmask.training.rendered import write_rendered_set
from roadmask.training.samples import TrainingSet, read_training_sets


def coco_set(folder: Path, files: list[Path]) -> TrainingSet:
    """A training set of existing images, one object in each."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, file in enumerate(files, start=1):
        image = cv2.imread(str(file))
        shutil.copy(file, folder / "images")
        height, width = image.shape[:2]
        images.append({"id": number, "file_name": file.name, "height": height, "width": width})
        ring = [10.0, 10.0, 60.0, 10.0, 60.0, 70.0, 10.0, 70.0]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 3, "segmentation": [ring], "area": 3000, "iscrowd": 0}
        )
    document = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "car"}]}
    (folder / "instances.json").write_text(json.dumps(document))
    return read_training_sets([folder])


def test_an_evaluation_image_is_found_by_its_bytes_its_name_and_its_looks(data_dir: Path, tmp_path: Path) -> None:
    known = evaluation_images()
    file = sorted((data_dir / "coco_dev" / "images").glob("*.jpg"))[0]
    image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    assert "byte for byte" in (known.find("renamed.jpg", file.read_bytes(), image) or "")
    blank = np.zeros_like(image)
    assert "its name says" in (known.find(file.name, b"other bytes", blank) or "")
    smaller = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    _, compressed = cv2.imencode(".jpg", smaller[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = cv2.cvtColor(cv2.imdecode(compressed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert "it looks like" in (known.find("renamed.jpg", compressed.tobytes(), again) or "")
    assert known.find("renamed.jpg", b"other bytes", blank) is None


def test_every_evaluation_image_is_refused(data_dir: Path, tmp_path: Path) -> None:
    files = sorted((data_dir / "pennfudan_dev" / "images").glob("*"))[:6]
    training = coco_set(tmp_path / "leak", files)
    with pytest.raises(InputError, match=r"6 training images belong to evaluation sets: .*--leave-out-evaluation"):
        without_evaluation_images(training)
    with pytest.raises(InputError, match="nothing is left"):
        without_evaluation_images(training, leave_out=True)


def test_frames_of_an_evaluation_clip_are_left_out_with_their_drive(data_dir: Path) -> None:
    training = read_training_sets([data_dir / "dashcam_train"])
    with pytest.raises(InputError, match=r"ken2190_ecuador_\d+\.jpg \(it looks like clips/crossing_still"):
        without_evaluation_images(training)
    kept = without_evaluation_images(training, leave_out=True)
    assert 0 < len(training.images) - len(kept.images) < 30
    assert not any("ecuador" in image.name for image in kept.images)


def test_rendered_frames_are_no_evaluation_images_and_the_demos_seed_is_refused(tmp_path: Path) -> None:
    write_rendered_set(tmp_path / "ours", SampleDriveConfig(height=96, width=160, seed=1001), [85])
    training = read_training_sets([tmp_path / "ours"])
    assert without_evaluation_images(training) is training
    with pytest.raises(InputError, match="evaluation data: choose another seed"):
        write_rendered_set(tmp_path / "demo", SampleDriveConfig(height=96, width=160), [85])


def test_difference_hashes_survive_a_change_of_size_and_tell_images_apart() -> None:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (20, 8, 9, 3), np.uint8)
    images = [np.asarray(cv2.resize(each, (162, 120), interpolation=cv2.INTER_NEAREST), np.uint8) for each in coarse]
    hashes = [dhash(image) for image in images]
    for image, value in zip(images, hashes, strict=True):
        half = np.asarray(cv2.resize(image, (81, 60), interpolation=cv2.INTER_AREA), np.uint8)
        assert (dhash(half) ^ value).bit_count() <= NEAR_BITS
    assert min((a ^ b).bit_count() for n, a in enumerate(hashes) for b in hashes[:n]) > NEAR_BITS
    assert is_plain(dhash(np.zeros((50, 50, 3), np.uint8)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("000000000139.jpg", 139), ("COCO_val2014_000000000042.jpg", 42), ("street.jpg", None), ("12345.jpg", None)],
)
def test_ids_of_coco_are_read_from_names(name: str, expected: int | None) -> None:
    assert coco_id(name) == expected
