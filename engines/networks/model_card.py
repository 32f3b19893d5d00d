"""Model cards: intended use, training data, accuracy and known failures.

The text is data/models.md, which the package carries and the documentation includes.
"""

from __future__ import annotations

import re
from pathlib import Path

from roadmask.engines.errors import ConfigError

_FILE = Path(__file__).parents[1] / "data" / "models.md"
_CARD = re.compile(r"^## Model card: (?P<model>\S+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def model_card(model: str) -> str:
    """Returns the card of a model as Markdown.

    Raises:
        ConfigError: there is none; the message names the models that have one.
    """
    cards = {card["model"]: card["text"] for card in _CARD.finditer(_FILE.read_text(encoding="utf-8"))}
    if model not in cards:
        raise ConfigError(
            f"expected a model with a card, {' or '.join(cards)}, got {model!r}; torchvision documents the models "
            "that it publishes; for other files, ask whoever trained them."
        )
    return f"# Model card: {model}\n{cards[model].rstrip()}\n"
