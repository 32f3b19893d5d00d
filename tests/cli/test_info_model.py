"""`roadmask info --model`: the card of a model, to keep beside results."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from roadmask.cli import main
from roadmask.engines.networks.model_card import model_card


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["roadmask", "info", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_prints_the_card(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(monkeypatch, "--model", "lite") == 0
    assert capsys.readouterr().out == model_card("lite")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "resnet51"), "a model with a card, lite, got 'resnet51'"),
        ((), "expected a store, such as"),
        (("drive.zarr", "--model", "lite"), "a store or --model, got both"),
        (("--model", "lite", "--plot", "card.png"), "a store or --model, got both"),
    ],
)
def test_what_it_cannot_show_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
