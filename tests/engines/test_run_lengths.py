"""Run lengths: as pycocotools writes them, byte for byte, and refused where they are damaged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.masks import BoxMasks, RleMasks
from support.made_masks import BOXES, RNG_SEED, SIZE, blobs, coco_encoded, dense, random_images


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 70), (70, 1), (7, 9), (33, 40), (3, 2000)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_run_lengths_equal_those_of_pycocotools(size: tuple[int, int]) -> None:
    images = random_images(20, size)
    masks = RleMasks.from_dense(images, size)
    assert masks.counts == coco_encoded(images)
    read = RleMasks.from_coco(masks.counts, size)
    assert np.array_equal(dense(read), images)
    assert read.area.tolist() == images.sum(axis=(1, 2)).tolist()
    assert read.area.dtype == np.int64


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 5, 6), np.bool_),  # empty
        np.ones((2, 5, 6), np.bool_),  # full: the last run is inside
        np.eye(6, dtype=np.bool_)[None],  # first and last pixel inside
        np.tile(np.arange(6) % 2 == 0, (1, 5, 1)),  # full columns: runs that end where a column ends
        np.tile(np.arange(6) >= 3, (1, 5, 1)),  # full columns side by side are one run
    ],
    ids=["empty", "full", "diagonal", "stripes", "half"],
)
def test_run_lengths_at_their_ends(images: NDArray[np.bool_]) -> None:
    size = images.shape[1], images.shape[2]
    masks = RleMasks.from_dense(images, size)
    assert masks.counts == coco_encoded(images)
    assert np.array_equal(dense(RleMasks.from_coco(masks.counts, size)), images)


def test_run_lengths_of_a_large_image() -> None:
    size = (4320, 7680)  # lengths of five and six digits
    image = np.zeros((1, *size), np.bool_)
    image[0, 100:200, 7000:7003] = True
    assert RleMasks.from_dense(image, size).counts == coco_encoded(image)


def test_box_masks_are_encoded_as_pycocotools_does() -> None:
    boxes = np.array(list(BOXES.values()), np.float32)
    masks = BoxMasks(blobs(len(boxes)), boxes, SIZE)
    assert masks.to_rle().counts == coco_encoded(dense(masks))
    assert masks.to_rle() is masks.to_rle()  # computed once


def test_what_was_read_leaves_byte_for_byte() -> None:
    # Legal, but not what any encoder writes: runs of length 0 in the middle and at the end.
    size = (2, 3)
    plain = [2, 1, 0, 1, 2, 0]  # runs; from the fourth on stored as differences: 1 - 1, 2 - 0, 0 - 1
    unusual = bytes(48 + value for value in (2, 1, 0, 0, 2, 31))  # 31 is -1 in five bits
    masks = RleMasks.from_coco([unusual], size)
    assert masks.counts == (unusual,)
    assert masks.to_rle().counts == (unusual,)
    assert masks[np.array([0, 0])].counts == (unusual, unusual)
    assert masks.area.tolist() == [plain[1] + plain[3] + plain[5]]
    assert dense(masks)[0].T.ravel().tolist() == [False, False, True, True, False, False]


MALFORMED = {
    "no bytes": (b"", "mask 0: .*no bytes"),
    "a byte below the alphabet": (b"\x20", "mask 0: expected COCO"),
    "a byte above the alphabet": (b"p\x8f", "mask 0: expected COCO"),
    "the last byte promises another": (b"0P", "mask 0: expected COCO"),
    "runs too short": (b"5", "mask 0: .* = 30 pixels, got 5"),
    "runs too long": (bytes([48 + 20, 48 + 15]), "mask 0: .*run lengths"),
    "a negative run": (bytes([48 + 31, 48 + 15]), "mask 0: .*run lengths"),
    "a length of many digits": (b"P" * 12 + b"0", "mask 0: .*13 digits"),
    "text": (b"not a mask at all", "mask 0"),
    "an image of another size": (coco_encoded(np.ones((1, 5, 7), np.bool_))[0], "mask 0: .* = 30 pixels, got 35"),
}


@pytest.mark.parametrize(("counts", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_run_lengths_are_refused(counts: bytes, message: str) -> None:
    size = (5, 6)
    with pytest.raises(InstancesError, match=message):
        RleMasks.from_coco([counts], size)
    # Also where nobody asked for a check: pycocotools would read past their end.
    good = RleMasks.from_dense(np.ones((1, *size)), size)
    unchecked = RleMasks((counts,), size)
    for use in (
        lambda: unchecked.area,
        lambda: unchecked.iou(good),
        lambda: good.iou(unchecked),
        lambda: unchecked.share_inside(good),
        lambda: list(unchecked.dense()),
        lambda: unchecked.translated(np.zeros((1, 2))),
    ):
        with pytest.raises(InstancesError, match="mask 0"):
            use()


def test_the_message_names_the_mask() -> None:
    good = RleMasks.from_dense(np.ones((1, 5, 6)), (5, 6)).counts[0]
    for wrong in (b"", b"\x01", b"5", b"0P"):
        with pytest.raises(InstancesError, match="mask 2"):
            RleMasks.from_coco([good, good, wrong, good], (5, 6))


def test_random_bytes_never_crash() -> None:
    rng = np.random.default_rng(RNG_SEED)
    refused = 0
    for _ in range(500):
        counts = bytes(rng.integers(48, 112, rng.integers(1, 30), np.uint8))
        try:
            masks = RleMasks.from_coco([counts], (5, 6))
        except InstancesError:
            refused += 1
        else:
            assert 0 <= masks.area[0] <= 30
    assert refused > 400


def test_run_lengths_may_be_text() -> None:
    counts = RleMasks.from_dense(np.ones((1, 5, 6)), (5, 6)).counts
    assert RleMasks.from_coco([counts[0].decode()], (5, 6)).counts == counts
    with pytest.raises(InstancesError, match="ASCII"):
        RleMasks.from_coco(["ü"], (5, 6))
    with pytest.raises(InstancesError, match="bytes"):
        RleMasks((counts[0].decode(),), (5, 6))  # type: ignore[arg-type]
