"""Views: masks stay on their objects however an image is scaled, moved, mirrored and pasted over."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from roadmask.engines import Image
from roadmask.engines.masks import RleMasks
from roadmask.training.augment import NO_JITTER, Jitter, make_view
from roadmask.training.samples import TrainingImage, TrainingObject

SIZE = (96, 160)
RED, GREEN, GREY = (250, 20, 20), (20, 250, 20), (90, 90, 90)


@dataclass(frozen=True, eq=False)
class Painted(TrainingImage):
    """An image in memory: coloured squares on grey."""

    pixels: Image | None = None

    def read(self) -> Image:
        assert self.pixels is not None
        return self.pixels


def painted(
    squares: list[tuple[int, int, int]], colour: tuple[int, int, int], crowd: bool = False, size: tuple[int, int] = SIZE
) -> Painted:
    pixels = np.full((*size, 3), GREY, np.uint8)
    masks = np.zeros((len(squares), *size), bool)
    for row, (x, y, side) in enumerate(squares):
        masks[row, y : y + side, x : x + side] = True
        pixels[masks[row]] = colour
    counts = [rle["counts"] for rle in RleMasks.from_dense(masks, size).coco]
    objects = tuple(
        TrainingObject(3, count, (x, y, x + side, y + side), 0.8, crowd)
        for count, (x, y, side) in zip(counts, squares, strict=True)
    )
    return Painted("p", None, size, "p", objects, pixels)  # type: ignore[arg-type]


def test_without_jitter_the_image_lies_at_the_top_left_as_it_is() -> None:
    source = painted([(20, 10, 30), (100, 40, 20)], RED)
    view = make_view(source, (96, 192), np.random.default_rng(0), NO_JITTER, None)
    assert (view.image[:, :160] == source.read()).all()
    assert not view.image[:, 160:].any()
    assert view.boxes.tolist() == [[20, 10, 50, 40], [100, 40, 120, 60]] or len(view.boxes) == 2
    assert view.weights.tolist() == pytest.approx([0.8, 0.8])
    assert not view.ignored.any()


@pytest.mark.parametrize("seed", range(30))
def test_masks_follow_the_pixels(seed: int) -> None:
    source = painted([(20, 20, 40), (100, 30, 36)], RED)
    view = make_view(source, SIZE, np.random.default_rng(seed), Jitter(colour=0), None)
    is_red = (view.image[..., 0].astype(int) - view.image[..., 1]) > 115  # half way between red and grey
    claimed = view.masks.any(axis=0) | view.ignored
    # images shrink by the mean over areas, masks by interpolation: they may differ in pixels on a border
    grown = cv2.dilate(is_red.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    shrunk = cv2.erode(is_red.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not (claimed & ~grown).any()
    assert not (shrunk & ~claimed).any()
    for box, mask in zip(view.boxes, view.masks, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_crowds_and_slivers_are_ignored_not_learnt() -> None:
    crowd = make_view(painted([(20, 20, 40)], RED, crowd=True), SIZE, np.random.default_rng(0), NO_JITTER, None)
    assert len(crowd.boxes) == 0
    assert crowd.ignored.sum() == 1600
    tiny = make_view(painted([(20, 20, 3)], RED), SIZE, np.random.default_rng(0), NO_JITTER, None)
    assert len(tiny.boxes) == 0
    assert tiny.ignored.sum() == 9


def test_pasted_objects_hide_what_lies_below() -> None:
    below, above = painted([(20, 20, 40)], RED), painted([(30, 30, 50)], GREEN)
    pasted = 0
    for seed in range(20):
        view = make_view(below, SIZE, np.random.default_rng(seed), NO_JITTER, above)
        assert (view.masks.sum(axis=0) <= 1).all()
        is_green = (view.image[..., 1] > 200) & (view.image[..., 0] < 60)
        if is_green.any():
            pasted += 1
            assert view.masks[-1][is_green].all()
            assert len(view.boxes) == 2
            assert view.masks[0].sum() == 1600 - 30 * 30
    assert 3 <= pasted <= 17


def test_the_same_draw_gives_the_same_view() -> None:
    source = painted([(20, 20, 40)], RED)
    one, two = (make_view(source, SIZE, np.random.default_rng(9), Jitter(), None) for _ in range(2))
    assert (one.image == two.image).all()
    assert (one.masks == two.masks).all()
