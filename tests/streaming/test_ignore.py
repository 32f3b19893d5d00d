"""Regions whose instances are dropped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines import Instances, RleMasks
from roadmask.engines.errors import ConfigError
from roadmask.streaming.ignore import IgnoreRegion

BOTTOM = "0,50 100,50 100,80 0,80"


def squares(tops: list[int], *, masks: bool) -> Instances:
    """Returns 20 x 20 squares in an image of 80 x 100, at these tops."""
    boxes = np.array([[10, top, 30, top + 20] for top in tops], np.float32)
    dense = np.zeros((len(tops), 80, 100), bool)
    for row, top in enumerate(tops):
        dense[row, top : top + 20, 10:30] = True
    ones = np.ones(len(tops), np.float32)
    drawn = RleMasks.from_dense(dense, (80, 100)) if masks else None
    return Instances((80, 100), boxes, ones, np.full(len(tops), 3), drawn)


@pytest.mark.parametrize("masks", [True, False])
def test_more_than_half_inside_is_ignored(masks: bool) -> None:
    # 0 %, 25 %, about half, 75 % and all of it inside
    covered = IgnoreRegion(BOTTOM).covers(squares([10, 35, 39, 45, 55], masks=masks))
    assert covered.tolist() == [False, False, False, True, True]


def test_no_instances_at_all() -> None:
    assert IgnoreRegion(BOTTOM).covers(Instances.empty((80, 100))).shape == (0,)


def test_a_mask_image_is_stretched_over_the_frames(tmp_path: Path) -> None:
    drawn = np.zeros((8, 10), np.uint8)
    drawn[5:] = 255
    cv2.imwrite(str(tmp_path / "bonnet.png"), drawn)
    covered = IgnoreRegion(str(tmp_path / "bonnet.png")).covers(squares([10, 55], masks=True))
    assert covered.tolist() == [False, True]


@pytest.mark.parametrize("text", ["nowhere.png", "0,0 1,1", "0,0 1,1 2", "a,b c,d e,f"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="mask image or a polygon"):
        IgnoreRegion(text)


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no image")
    with pytest.raises(ConfigError, match="expected a mask image"):
        IgnoreRegion(str(tmp_path / "mask.png"))
