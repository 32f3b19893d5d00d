"""A second reference, of other authors and other data: masks of BDD100K, measured by scalabel with motmetrics.

Its figures count over all classes together (its `OVERALL`): hits, misses and switches are summed, not averaged.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.evaluation.tracks.sequence_data import load_trackeval
from support.scalabel import read_scalabel


def test_figures_of_scalabel_are_reproduced(data_dir: Path) -> None:
    folder = data_dir / "reference" / "mots_scalabel"
    data = [
        each.for_trackeval()
        for each in read_scalabel(folder / "seg_track_sample.json", folder / "seg_track_preds.json")
    ]
    metrics = load_trackeval().metrics
    totals = {}
    for family in (metrics.CLEAR({"PRINT_CONFIG": False}), metrics.Identity({"PRINT_CONFIG": False})):
        totals |= family.combine_sequences({n: family.eval_sequence(each) for n, each in enumerate(data)})
    assert 100 * totals["MOTA"] == pytest.approx(64.3061, abs=0.01)
    assert 100 * totals["MOTP"] == pytest.approx(83.5725, abs=0.01)
    assert 100 * totals["IDF1"] == pytest.approx(74.5157, abs=0.01)
    assert (totals["IDSW"], totals["CLR_FP"], totals["CLR_FN"]) == (25, 201, 399)
