"""How much of a live camera is kept, as it is typed."""

from __future__ import annotations

import pytest

from roadmask.engines.errors import InputError
from roadmask.streaming.live.retention import Retention


@pytest.mark.parametrize(
    ("text", "seconds", "size_bytes"),
    [("2h", 7200, None), ("30min", 1800, None), ("0.5d", 43200, None), ("50GB", None, 50 * 10**9)],
)
def test_what_to_keep(text: str, seconds: float | None, size_bytes: int | None) -> None:
    assert Retention.parse(text) == Retention(seconds, size_bytes)


@pytest.mark.parametrize("text", ["2", "h", "-1h", "0h", "2 weeks", "50 GB of disk"])
def test_refuses_to_keep_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(InputError, match="such as 30min, 2h"):
        Retention.parse(text)
