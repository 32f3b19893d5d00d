"""The table of engines: its rows are whole, and their modules and names fit together."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import get_args

import pytest

from roadmask.engines.segmenter import Precision
from roadmask.engines.table import ENGINES, Engine, EngineRow, engine_names, precisions


def test_the_names_are_those_of_the_type() -> None:
    assert set(engine_names()) == set(get_args(Engine))
    assert precisions(on_gpu=False) == ["bf16", "fp32", "int8"]
    assert precisions(on_gpu=True) == ["fp16", "int8", "fp32"]
    assert all(name == row.name for name, row in ENGINES.items())


@pytest.mark.parametrize("row", ENGINES.values(), ids=lambda row: row.name)
def test_every_row_can_be_opened_and_described(row: EngineRow) -> None:
    assert list(signature(import_module(row.module).open_segmenter).parameters) == [
        "weights",
        "category_ids",
        "options",
    ]
    assert set(row.precisions) <= set(get_args(Precision))
    if row.status is not None:
        assert import_module(row.status).engine_status()
