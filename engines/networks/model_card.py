"""The cards of models: what they are for, what they learnt from, how good they are, and where they fail.

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
            f"expected a model with a card, {' or '.join(cards)}, got {model!r}; torchvision documents those that it "
            "publishes, and who trained a file knows best what is in it."
        )
    return f"# Model card: {model}\n{cards[model].rstrip()}\n"
