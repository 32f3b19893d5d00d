"""The card of a model is its section of the docs, no more and no less, and says what a card must."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.classes import CLASS_NAMES, LITE_CATEGORY_IDS
from roadmask.engines.errors import ConfigError
from roadmask.engines.networks.model_card import model_card


def test_is_one_section_from_its_title_to_its_end() -> None:
    card = model_card("lite")
    assert card.startswith("# Model card: lite\n\n**What it is.** ")
    last = card[card.rindex("\n- **") :]
    assert last.startswith("\n- **Thin parts.**")
    assert last.endswith(".\n")
    assert "\n## " not in card


def test_each_model_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = tmp_path / "models.md"
    cards.write_text(
        "# Models\n\n## Model card: one\n\nSmall.\n\n### Part\n\n## Cost\n\n1\n\n## Model card: two\n\nLarge."
    )
    monkeypatch.setattr("roadmask.engines.networks.model_card._FILE", cards)
    assert model_card("one") == "# Model card: one\n\nSmall.\n\n### Part\n"
    assert model_card("two") == "# Model card: two\n\nLarge.\n"


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
