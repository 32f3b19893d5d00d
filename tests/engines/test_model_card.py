"""The card that packages carry is the one of the docs, and it says what a card must."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.classes import CLASS_NAMES, LITE_CATEGORY_IDS
from roadmask.engines.errors import ConfigError
from roadmask.engines.model_card import model_card

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "models.md"


def test_is_the_text_of_the_docs() -> None:
    title, text = model_card("lite").split("\n", 1)
    assert title == "# Model card: lite"
    assert text.strip() in DOCS.read_text(encoding="utf-8")
    assert "\n## " not in text


@pytest.mark.parametrize("word", ["Not a safety component", "Licence", "CC BY-NC", "Data and labels", "AP50", "Riders"])
def test_says_what_a_card_must(word: str) -> None:
    assert word in model_card("lite")


def test_names_every_class_with_its_coco_id() -> None:
    rows = [line.split("|")[2:4] for line in model_card("lite").splitlines() if line.startswith("|")]
    told = {(name.strip(), category.strip()) for name, category in rows}
    assert {(CLASS_NAMES[category], str(category)) for category in LITE_CATEGORY_IDS} <= told


def test_a_model_without_a_card_is_named() -> None:
    with pytest.raises(ConfigError, match="a model with a card, lite, got 'resnet51'"):
        model_card("resnet51")
