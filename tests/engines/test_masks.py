"""Masks in both forms: pasting, run lengths, overlap, moving, and bytes that are not masks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadmask.engines.errors import InstancesError
from roadmask.engines.masks import MASK_SIDE, MASK_THRESHOLD, BoxMasks, RleMasks, iou_of_pairs
from support.made_masks import BOXES, RNG_SEED, SIZE, blobs, coco_encoded, dense, random_images

Boxes = NDArray[np.float32]


# Pasting


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
        (-50, 10, -10, 40),  # left of the image; torchvision itself stops with an error for these four
        (100, 10, 140, 40),  # right
        (20, -50, 60, -10),  # above
        (20, 70, 60, 99),  # below
        (1e30, 1e30, 2e30, 2e30),  # too far for an integer
        (-3e38, 10, -2e38, 40),
    ],
)
def test_a_mask_outside_the_image_is_empty(box: tuple[float, ...]) -> None:
    masks = BoxMasks(np.ones((1, MASK_SIDE, MASK_SIDE), np.float32), np.array([box], np.float32), SIZE)
    assert masks.area.tolist() == [0]
    assert masks.to_rle().counts == coco_encoded(np.zeros((1, *SIZE), np.bool_))


def test_a_huge_box_costs_no_more_than_the_image() -> None:
    # Stretched as a whole it would be an image of 10^16 pixels.
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
    image = dense(BoxMasks(grid, np.array([[0, 0, 90, 60]], np.float32), SIZE))[0]
    assert image[30, 45] == inside


# Overlap


def test_iou_equals_that_of_the_pixels() -> None:
    images = random_images(12, (20, 30))
    masks, others = RleMasks.from_dense(images, (20, 30)), RleMasks.from_dense(images[::-1][:5], (20, 30))
    flat, theirs = images.reshape(12, -1), images[::-1][:5].reshape(5, -1)
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
    images = np.zeros((2, 30, 40), np.bool_)
    images[0, :10, :10] = True
    images[1][other] = True
    mask, region = (RleMasks.from_dense(image[None], (30, 40)) for image in images)
    assert mask.iou(region)[0, 0] == pytest.approx(iou)
    assert mask.share_inside(region)[0, 0] == pytest.approx(share)


def test_empty_masks_overlap_nothing_not_even_each_other() -> None:
    none = RleMasks.from_dense(np.zeros((2, 5, 6)), (5, 6))
    assert none.iou(none).tolist() == [[0, 0], [0, 0]]
    assert none.share_inside(none).tolist() == [[0, 0], [0, 0]]


def test_masks_of_different_images_do_not_compare() -> None:
    with pytest.raises(InstancesError, match=r"\(5, 6\)"):
        RleMasks.from_dense(np.ones((1, 5, 6)), (5, 6)).iou(RleMasks.from_dense(np.ones((1, 6, 5)), (6, 5)))


# Moving


@pytest.mark.parametrize(
    ("dx", "dy"),
    [(0, 0), (3, 0), (0, 4), (-5, 2), (7, -6), (25, 0), (0, 20), (-30, -20), (1000, 0), (0, -(10**12))],
)
def test_translated(dx: int, dy: int) -> None:
    height, width = size = (20, 30)
    images = random_images(8, size)
    expected = np.zeros_like(images)
    for y in range(max(dy, 0), min(height + dy, height)):
        for x in range(max(dx, 0), min(width + dx, width)):
            expected[:, y, x] = images[:, y - dy, x - dx]
    moved = RleMasks.from_dense(images, size).translated(np.tile([dx, dy], (8, 1)))
    assert np.array_equal(dense(moved), expected)
    assert moved.counts == coco_encoded(expected)


def test_each_mask_moves_by_its_own_rounded_offset() -> None:
    image = np.zeros((2, 20, 30), np.bool_)
    image[:, 5, 5] = True
    moved = RleMasks.from_dense(image, (20, 30)).translated(np.array([[1.6, -0.4], [-2.3, 3.7]]))
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


def test_dense_masks_must_have_the_images_size() -> None:
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
    with pytest.raises(InstancesError, match="image of"):
        iou_of_pairs([(exact, every)], RleMasks((), (5, 5)), rows[:0], columns[:0], offsets)
