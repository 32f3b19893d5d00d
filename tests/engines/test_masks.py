"""Masks in both forms: pasting, run lengths, overlap, moving, and bytes that are not masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from roadmask.engines.errors import InstancesError
from roadmask.engines.masks import MASK_SIDE, MASK_THRESHOLD, BoxMasks, RleMasks, iou_of_pairs

SIZE = (60, 90)
RNG_SEED = 7

Boxes = NDArray[np.float32]


def blobs(count: int, seed: int = RNG_SEED) -> NDArray[np.float32]:
    """Smooth probabilities that cross the threshold in several places, up to the very edge of the grid."""
    rng = np.random.default_rng(seed)
    coarse = [cv2.resize(rng.random((5, 5), np.float32), (MASK_SIDE, MASK_SIDE)) for _ in range(count)]
    return np.stack(coarse).astype(np.float32).clip(0, 1)


def dense(masks: RleMasks | BoxMasks) -> NDArray[np.bool_]:
    pictures = list(masks.to_rle().dense())
    return np.stack(pictures) if pictures else np.zeros((0, *masks.image_size), np.bool_)


def coco_encoded(pictures: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """What pycocotools makes of the same pixels."""
    columns = np.asfortranarray(np.moveaxis(pictures, 0, -1).astype(np.uint8))
    return tuple(rle["counts"] for rle in coco_mask.encode(columns))


def random_pictures(count: int, size: tuple[int, int], seed: int = RNG_SEED) -> NDArray[np.bool_]:
    """Noise of every density, from empty to full."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, count)[:, None, None]
    return rng.random((count, *size)) < share


# Pasting


BOXES = {
    "in the middle": (20.3, 10.7, 61.2, 44.9),
    "whole pixels": (20, 10, 60, 45),
    "at the upper left corner": (0, 0, 30, 20),
    "at the lower right corner": (60, 40, 90, 60),
    "half outside on the left": (-25.5, 10, 25.5, 40),
    "half outside below": (20, 40.2, 50, 90.7),
    "larger than the picture": (-40, -30, 200, 130),
    "smaller than its grid": (40.4, 20.6, 49.5, 27.1),
    "smaller than a pixel": (40.2, 20.2, 40.6, 20.7),
    "without area": (40, 20, 40, 20),
    "without width": (40, 20, 40, 50),
    "tall and thin": (44.2, -100, 46.1, 300),
    "wide and flat": (-500, 29.5, 700, 31),
    "touching the picture with its border cell only": (-30, 10, -0.4, 40),
}


def torchvision_paste(probabilities: NDArray[np.float32], boxes: Boxes, size: tuple[int, int]) -> NDArray[np.float32]:
    torch = pytest.importorskip("torch", reason="compares with torchvision, which needs roadmask[torch]")
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    pasted = paste_masks_in_image(torch.from_numpy(probabilities)[:, None], torch.from_numpy(boxes), size)
    return np.asarray(pasted[:, 0].numpy(), np.float32)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_paste_equals_torchvision(box: tuple[float, ...]) -> None:
    probabilities = blobs(8)
    boxes = np.tile(np.array(box, np.float32), (8, 1))
    expected = torchvision_paste(probabilities, boxes, SIZE)
    inside = dense(BoxMasks(probabilities, boxes, SIZE))
    # Two orders of the same float32 sums may fall on either side of the threshold, within rounding of it.
    differ = inside != (expected >= MASK_THRESHOLD)
    assert (np.abs(expected[differ] - MASK_THRESHOLD) < 1e-6).all()
    assert differ.sum() <= 1


@pytest.mark.parametrize("size", [(60, 90), (1, 200), (200, 1), (1, 1)], ids=str)
def test_paste_equals_torchvision_on_random_boxes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(RNG_SEED)
    side = rng.uniform(0, 80, (100, 2))
    corner = np.maximum(rng.uniform(-0.5, 1, (100, 2)) * size[::-1], 1 - side)
    boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    probabilities = blobs(100)
    expected = torchvision_paste(probabilities, boxes, size)
    differ = dense(BoxMasks(probabilities, boxes, size)) != (expected >= MASK_THRESHOLD)
    assert (np.abs(expected[differ] - MASK_THRESHOLD) < 1e-6).all()
    assert differ.sum() <= 2


@pytest.mark.parametrize(
    "box",
    [
        (-50, 10, -10, 40),  # left of the picture; torchvision itself stops with an error for these four
        (100, 10, 140, 40),  # right
        (20, -50, 60, -10),  # above
        (20, 70, 60, 99),  # below
        (1e30, 1e30, 2e30, 2e30),  # too far for an integer
        (-3e38, 10, -2e38, 40),
    ],
)
def test_a_mask_outside_the_picture_is_empty(box: tuple[float, ...]) -> None:
    masks = BoxMasks(np.ones((1, MASK_SIDE, MASK_SIDE), np.float32), np.array([box], np.float32), SIZE)
    assert masks.area.tolist() == [0]
    assert masks.to_rle().counts == coco_encoded(np.zeros((1, *SIZE), np.bool_))


def test_a_huge_box_costs_no_more_than_the_picture() -> None:
    # Stretched as a whole it would be a picture of 10^16 pixels.
    masks = BoxMasks(
        np.ones((1, MASK_SIDE, MASK_SIDE), np.float32), np.array([[-5e7, -5e7, 5e7, 5e7]], np.float32), SIZE
    )
    assert masks.area.tolist() == [SIZE[0] * SIZE[1]]


@pytest.mark.parametrize(
    ("probability", "inside"),
    [
        (0.5, True),  # at the threshold: inside
        (float(np.nextafter(np.float32(0.5), np.float32(0))), False),  # the nearest number below: outside
        (1.0, True),
        (0.0, False),
    ],
)
def test_the_threshold_itself_is_inside(probability: float, inside: bool) -> None:
    grid = np.full((1, MASK_SIDE, MASK_SIDE), probability, np.float32)
    picture = dense(BoxMasks(grid, np.array([[0, 0, 90, 60]], np.float32), SIZE))[0]
    assert picture[30, 45] == inside


# Run lengths


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 70), (70, 1), (7, 9), (33, 40), (3, 2000)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_run_lengths_equal_those_of_pycocotools(size: tuple[int, int]) -> None:
    pictures = random_pictures(20, size)
    masks = RleMasks.from_dense(pictures, size)
    assert masks.counts == coco_encoded(pictures)
    read = RleMasks.from_coco(masks.counts, size)
    assert np.array_equal(dense(read), pictures)
    assert read.area.tolist() == pictures.sum(axis=(1, 2)).tolist()
    assert read.area.dtype == np.int64


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((2, 5, 6), np.bool_),  # empty
        np.ones((2, 5, 6), np.bool_),  # full: the last run is inside
        np.eye(6, dtype=np.bool_)[None],  # first and last pixel inside
        np.tile(np.arange(6) % 2 == 0, (1, 5, 1)),  # full columns: runs that end where a column ends
        np.tile(np.arange(6) >= 3, (1, 5, 1)),  # full columns side by side are one run
    ],
    ids=["empty", "full", "diagonal", "stripes", "half"],
)
def test_run_lengths_at_their_ends(pictures: NDArray[np.bool_]) -> None:
    size = pictures.shape[1], pictures.shape[2]
    masks = RleMasks.from_dense(pictures, size)
    assert masks.counts == coco_encoded(pictures)
    assert np.array_equal(dense(RleMasks.from_coco(masks.counts, size)), pictures)


def test_run_lengths_of_a_large_picture() -> None:
    size = (4320, 7680)  # lengths of five and six digits
    picture = np.zeros((1, *size), np.bool_)
    picture[0, 100:200, 7000:7003] = True
    assert RleMasks.from_dense(picture, size).counts == coco_encoded(picture)


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
    "a picture of another size": (coco_encoded(np.ones((1, 5, 7), np.bool_))[0], "mask 0: .* = 30 pixels, got 35"),
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


# Overlap


def test_iou_equals_that_of_the_pixels() -> None:
    pictures = random_pictures(12, (20, 30))
    masks, others = RleMasks.from_dense(pictures, (20, 30)), RleMasks.from_dense(pictures[::-1][:5], (20, 30))
    flat, theirs = pictures.reshape(12, -1), pictures[::-1][:5].reshape(5, -1)
    shared = (flat[:, None] & theirs[None]).sum(-1)
    union = (flat[:, None] | theirs[None]).sum(-1)
    np.testing.assert_allclose(masks.iou(others), shared / np.maximum(union, 1), atol=1e-12)
    area = flat.sum(-1)[:, None]
    np.testing.assert_allclose(masks.share_inside(others), shared / np.maximum(area, 1), atol=1e-12)


@pytest.mark.parametrize(
    ("other", "iou", "share"),
    [
        ((slice(0, 10), slice(0, 10)), 1.0, 1.0),  # the same
        ((slice(0, 10), slice(5, 15)), 1 / 3, 0.5),  # half shared
        ((slice(0, 20), slice(0, 20)), 0.25, 1.0),  # inside
        ((slice(0, 10), slice(10, 20)), 0.0, 0.0),  # side by side
        ((slice(0, 0), slice(0, 0)), 0.0, 0.0),  # empty
    ],
)
def test_iou_and_share(other: tuple[slice, slice], iou: float, share: float) -> None:
    pictures = np.zeros((2, 30, 40), np.bool_)
    pictures[0, :10, :10] = True
    pictures[1][other] = True
    mask, region = (RleMasks.from_dense(picture[None], (30, 40)) for picture in pictures)
    assert mask.iou(region)[0, 0] == pytest.approx(iou)
    assert mask.share_inside(region)[0, 0] == pytest.approx(share)


def test_empty_masks_overlap_nothing_not_even_each_other() -> None:
    none = RleMasks.from_dense(np.zeros((2, 5, 6)), (5, 6))
    assert none.iou(none).tolist() == [[0, 0], [0, 0]]
    assert none.share_inside(none).tolist() == [[0, 0], [0, 0]]


def test_masks_of_different_pictures_do_not_compare() -> None:
    with pytest.raises(InstancesError, match=r"\(5, 6\)"):
        RleMasks.from_dense(np.ones((1, 5, 6)), (5, 6)).iou(RleMasks.from_dense(np.ones((1, 6, 5)), (6, 5)))


# Moving


@pytest.mark.parametrize(
    ("dx", "dy"),
    [(0, 0), (3, 0), (0, 4), (-5, 2), (7, -6), (25, 0), (0, 20), (-30, -20), (1000, 0), (0, -(10**12))],
)
def test_translated(dx: int, dy: int) -> None:
    height, width = size = (20, 30)
    pictures = random_pictures(8, size)
    expected = np.zeros_like(pictures)
    for y in range(max(dy, 0), min(height + dy, height)):
        for x in range(max(dx, 0), min(width + dx, width)):
            expected[:, y, x] = pictures[:, y - dy, x - dx]
    moved = RleMasks.from_dense(pictures, size).translated(np.tile([dx, dy], (8, 1)))
    assert np.array_equal(dense(moved), expected)
    assert moved.counts == coco_encoded(expected)


def test_each_mask_moves_by_its_own_rounded_offset() -> None:
    picture = np.zeros((2, 20, 30), np.bool_)
    picture[:, 5, 5] = True
    moved = RleMasks.from_dense(picture, (20, 30)).translated(np.array([[1.6, -0.4], [-2.3, 3.7]]))
    assert [np.argwhere(each).tolist() for each in moved.dense()] == [[[5, 7]], [[9, 3]]]


def test_box_masks_move_with_their_boxes() -> None:
    masks = BoxMasks(blobs(1), np.array([[20, 10, 60, 45]], np.float32), SIZE)
    moved = masks.translated(np.array([[5.0, 3.0]]))
    assert moved.boxes.tolist() == [[25, 13, 65, 48]]
    assert np.array_equal(dense(moved)[:, 3:, 5:], dense(masks)[:, :-3, :-5])


def test_offsets_must_be_finite() -> None:
    offsets = np.array([[np.nan, 0]])
    with pytest.raises(InstancesError, match="finite"):
        RleMasks.from_dense(np.ones((1, *SIZE)), SIZE).translated(offsets)
    with pytest.raises(InstancesError, match="finite"):
        BoxMasks(blobs(1), np.zeros((1, 4), np.float32), SIZE).translated(offsets)


# Both forms


@pytest.mark.parametrize(
    "masks",
    [
        RleMasks((), SIZE),
        BoxMasks(np.zeros((0, MASK_SIDE, MASK_SIDE), np.float32), np.zeros((0, 4), np.float32), SIZE),
    ],
    ids=["rle", "box"],
)
def test_no_masks(masks: RleMasks | BoxMasks) -> None:
    one = RleMasks.from_dense(np.ones((1, *SIZE)), SIZE)
    assert len(masks) == 0
    assert masks.area.shape == (0,)
    assert masks.to_rle().counts == ()
    assert masks.iou(one).shape == (0, 1)
    assert one.iou(masks).shape == (1, 0)
    assert len(masks.translated(np.zeros((0, 2)))) == 0
    assert len(masks[np.zeros(0, np.bool_)]) == 0
    assert dense(masks).shape == (0, *SIZE)


@pytest.mark.parametrize(
    "index",
    [slice(1, 3), slice(None, None, -1), np.array([2, 0, 0]), np.array([True, False, True, False])],
    ids=["slice", "reversed", "positions", "boolean"],
)
def test_indexing_picks_the_same_masks_in_both_forms(index: slice | NDArray[np.generic]) -> None:
    boxes = np.array(list(BOXES.values())[:4], np.float32)
    masks = BoxMasks(blobs(4), boxes, SIZE)
    expected = [masks.to_rle().counts[n] for n in np.arange(4)[index]]
    assert list(masks[index].to_rle().counts) == expected
    exact = masks.to_rle()
    assert list(exact[index].counts) == expected
    # Known pixels are picked along, unknown ones are decoded: both must be those of the run lengths.
    fresh = RleMasks(exact.counts, SIZE)
    assert np.array_equal(dense(exact[index]), dense(fresh[index]))
    assert exact[index].area.tolist() == fresh[index].area.tolist()


@pytest.mark.parametrize(
    ("probabilities", "boxes", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), np.zeros((1, 4), np.float32), "probabilities as float32"),  # lengths
        (np.zeros((1, 14, 14), np.float32), np.zeros((1, 4), np.float32), "probabilities as float32"),  # side
        (np.zeros((1, 28, 28)), np.zeros((1, 4), np.float32), "probabilities as float32"),  # type
        (np.zeros((1, 28, 28), np.float32), np.zeros((1, 4)), "boxes as float32"),
        (np.full((1, 28, 28), np.nan, np.float32), np.zeros((1, 4), np.float32), "probabilities .* finite"),
        (np.zeros((1, 28, 28), np.float32), np.full((1, 4), np.inf, np.float32), "boxes .* finite"),
    ],
)
def test_box_masks_are_validated(probabilities: NDArray[np.float32], boxes: Boxes, message: str) -> None:
    with pytest.raises(InstancesError, match=message):
        BoxMasks(probabilities, boxes, SIZE)


def test_dense_masks_must_have_the_pictures_size() -> None:
    with pytest.raises(InstancesError, match=r"\(N, 60, 90\)"):
        RleMasks.from_dense(np.ones((1, 90, 60)), SIZE)


@pytest.mark.parametrize("drawn", [False, True], ids=["drawn when asked", "drawn before"])
def test_iou_of_pairs_is_that_of_moved_masks(drawn: bool) -> None:
    draw = np.random.default_rng(4)
    corner, sides = draw.uniform(-20, 60, (6, 2)), draw.uniform(1, 60, (6, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    masks = BoxMasks(draw.random((6, MASK_SIDE, MASK_SIDE), np.float32), boxes, SIZE)
    if drawn:
        masks.to_rle()
    exact, none = masks.to_rle(), RleMasks.from_dense(np.zeros((1, *SIZE), np.bool_), SIZE)
    offsets = draw.normal(0, 15, (6, 2))
    expected = exact.translated(offsets).iou(exact)
    every, (rows, columns) = np.arange(6), np.divmod(np.arange(36), 6)
    for some in (masks, RleMasks(exact.counts, SIZE)):
        for others in (masks[np.arange(6)], RleMasks(exact.counts, SIZE)):
            np.testing.assert_allclose(
                iou_of_pairs([(some, every)], others, rows, columns, offsets), expected.reshape(-1)
            )
    parts = [(masks, every[:2]), (exact, every[2:3]), (masks, every[3:])]  # as of several frames
    np.testing.assert_allclose(iou_of_pairs(parts, exact, rows, columns, offsets), expected.reshape(-1))
    assert (expected > 0.1).any()
    assert (
        iou_of_pairs([(none, every[:1])], exact, np.zeros(6, np.intp), np.arange(6), np.zeros((1, 2))).tolist()
        == [0] * 6
    )
    assert iou_of_pairs([(exact, every)], none, np.arange(6), np.zeros(6, np.intp), offsets).tolist() == [0] * 6
    with pytest.raises(InstancesError, match="picture of"):
        iou_of_pairs([(exact, every)], RleMasks((), (5, 5)), rows[:0], columns[:0], offsets)
