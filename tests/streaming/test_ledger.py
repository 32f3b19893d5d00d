from __future__ import annotations

import pytest

from roadmask.engines.errors import LedgerError, StoreCorruptError
from roadmask.streaming.ledger import Ledger


@pytest.mark.parametrize(
    "ledger",
    [
        Ledger(),
        Ledger(captured=6, stored=6),
        Ledger(captured=10, stored=6, dropped={"engine behind": 3}, failed={"decode": 1}),
        Ledger(captured=9, dropped={"engine behind": 3, "queue": 2}, failed={"decode": 1, "engine": 3}),
    ],
)
def test_adds_up(ledger: Ledger) -> None:
    ledger.check("front")
    assert ledger.accounted == ledger.captured
    for change in (1, -1):  # and no longer, once a single frame is missing or counted twice
        ledger.captured += change
        with pytest.raises(LedgerError):
            ledger.check("front")
        ledger.captured -= change


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (Ledger(captured=10, stored=9), ["'front'", "10", "9 stored", "1 frames went missing"]),
        (Ledger(captured=3, stored=2, failed={"decode": 2}), ["2 failed: decode", "1 frames were counted twice"]),
    ],
)
def test_names_camera_and_numbers_when_frames_are_missing(ledger: Ledger, words: list[str]) -> None:
    with pytest.raises(LedgerError) as caught:
        ledger.check("front")
    assert all(word in str(caught.value) for word in words)


def test_survives_plain_data_with_reasons_sorted() -> None:
    ledger = Ledger(captured=5, stored=1, dropped={"z": 1, "a": 1}, failed={"engine": 2})
    data = ledger.to_dict()
    assert list(data["dropped"]) == ["a", "z"]
    assert Ledger.from_dict(data) == ledger


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"captured": -1, "stored": 0, "dropped": {}, "failed": {}},
        {"captured": "1", "stored": 0, "dropped": {}, "failed": {}},
        {"captured": 1, "stored": 0, "dropped": [], "failed": {}},
        {"captured": 1, "stored": 0, "dropped": {"queue": True}, "failed": {}},
    ],
)
def test_refuses_what_is_no_ledger(data: dict[str, object]) -> None:
    with pytest.raises(StoreCorruptError):
        Ledger.from_dict(data)


def test_ledgers_do_not_share_counts() -> None:
    one, other = Ledger(), Ledger()
    one.dropped["queue"] = 1
    assert other.dropped == {}
