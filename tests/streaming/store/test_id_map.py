from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmask.engines import RleMasks
from roadmask.streaming.store.id_map import paint_id_map


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
    masks = RleMasks.from_dense(dense, size)
    ids = rng.permutation(count).astype(np.int64)  # one of them has no track
    scores = rng.choice([0.5, 0.9], count).astype(np.float32)  # ties happen
    id_map = np.full(size, 77, np.uint32)
    paint_id_map(masks, ids, scores, id_map)

    expected = np.zeros(size, np.uint32)
    for n in sorted(range(count), key=lambda n: (scores[n], -ids[n])):
        if ids[n]:
            expected[dense[n] > 0] = ids[n]
    np.testing.assert_array_equal(id_map, expected)
