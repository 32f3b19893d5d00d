from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from roadmask.engines import RleMasks
from roadmask.engines.errors import InstancesError
from roadmask.streaming.store.labels import decode_runs, mask_area, paint_labels


def dense_masks(seed: int, count: int, size: tuple[int, int], density: float) -> np.ndarray:
    return (np.random.default_rng(seed).random((count, *size)) < density).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    count=st.integers(0, 5),
    density=st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]),
)
def test_paints_what_dense_masks_say(seed: int, height: int, width: int, count: int, density: float) -> None:
    size = (height, width)
    rng = np.random.default_rng(seed)
    dense = dense_masks(seed, count, size, density)
    counts = RleMasks.from_dense(dense, size).counts
    ids = rng.permutation(count).astype(np.int64)  # one of them has no track
    scores = rng.choice([0.5, 0.9], count).astype(np.float32)  # ties happen
    runs = [decode_runs(each, size) for each in counts]
    labels = np.full(size, 77, np.uint32)
    paint_labels(runs, ids, scores, labels)

    expected = np.zeros(size, np.uint32)
    for n in sorted(range(count), key=lambda n: (scores[n], -ids[n])):
        if ids[n]:
            expected[dense[n] > 0] = ids[n]
    np.testing.assert_array_equal(labels, expected)
    assert [mask_area(run) for run in runs] == dense.sum(axis=(1, 2)).tolist()


def test_decodes_long_runs_as_pycocotools_encodes_them() -> None:
    size = (1080, 1920)
    dense = np.zeros(size, np.uint8)
    dense[100:900, 300:1500] = 1
    dense[500, 10] = 1
    counts = coco_mask.encode(np.asfortranarray(dense))["counts"]
    runs = decode_runs(counts, size)
    assert np.repeat(np.arange(len(runs)) & 1, runs).reshape(size[::-1]).T.tolist() == dense.tolist()


@pytest.mark.parametrize(
    "counts",
    [
        b"",  # no run at all
        b"P",  # a number that goes on behind the end
        b"\x00\xff",  # not the alphabet of run lengths
        b"0",  # fills no pixel of a picture
        b"ooooooooo0",  # a run of more digits than any picture needs
        b"V1000000",  # more pixels than there are
    ],
)
def test_refuses_bytes_that_are_no_mask_of_the_picture(counts: bytes) -> None:
    with pytest.raises(InstancesError):
        decode_runs(counts, (4, 5))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_mask_or_an_error(counts: bytes) -> None:
    try:
        runs = decode_runs(counts, (4, 5))
    except InstancesError:
        return
    assert runs.min() >= 0
    assert runs.sum() == 20
