"""Every frame of a live camera is in one column of its ledger, whoever dies with it."""

from __future__ import annotations

from roadmask.streaming.ledger import Ledger, Outcome
from roadmask.streaming.live.ledger import STORE, LiveLedger
from roadmask.streaming.sources.live.counts import Counts
from roadmask.streaming.sources.live.protocol import FrameNote


def test_every_frame_is_in_one_column() -> None:
    ledger = LiveLedger()
    ledger.receive(FrameNote(0, 1, 0))
    ledger.receive(FrameNote(3, 2, 0))
    ledger.receive(FrameNote(9, 5, 0))  # numbers 3 and 4 died on the way
    counts = Counts(captured=12, stale=4, before_keyframe=1, undecodable=1, handed=5, held=1)
    assert ledger.total(counts).missing == 0
    assert ledger.total(counts).in_flight == 4
    ledger.decide(Outcome(0, "stored"))
    ledger.fail(3, "engine")
    ledger.drop(9, "late")
    total = ledger.total(counts)
    assert total.missing == 0
    assert total.dropped == {"stale": 4, "before_keyframe": 1, "late": 1}
    assert total.failed == {"decode": 1, "engine": 1, "reader_died": 2}
    ledger.close(counts)
    total = ledger.total(counts)
    assert (total.in_flight, total.missing) == (0, 0)
    assert total.dropped["stopped"] == 1


def received(frames: int) -> LiveLedger:
    ledger = LiveLedger()
    for index in range(frames):
        ledger.receive(FrameNote(index, index + 1, 0))
    return ledger


def test_a_frame_is_decided_once() -> None:
    ledger, counts = received(2), Counts(captured=2, handed=2)
    assert ledger.decide(Outcome(0, "dropped", "watched")) == 0
    assert ledger.decide(Outcome(0, "stored")) is None  # an answer of a recorder that has died since
    assert ledger.total(counts) == Ledger(2, 0, {"watched": 1}, {}, in_flight=1)


def test_what_a_dead_recorder_had_not_committed_is_lost() -> None:
    ledger = received(10)
    for index in range(8):
        ledger.hand_to_recorder(index)
    for index in range(6):
        ledger.decide(Outcome(index, "stored"))
    ledger.restart_recorder(committed=4)  # and 6 and 7 were pushed, their outcome unknown
    total = ledger.total(Counts(captured=10, handed=10))
    assert (ledger.stored, total.failed) == (4, {"writer_died": 4})
    assert ledger.in_flight == [8, 9]
    assert total.missing == 0


def test_a_store_that_fails_for_good_keeps_what_it_had_committed_but_not_told() -> None:
    ledger = received(10)
    for index in range(10):
        ledger.hand_to_recorder(index)
    for index in range(3):
        ledger.decide(Outcome(index, "stored"))
    ledger.restart_recorder(committed=6, reason=STORE)
    total = ledger.total(Counts(captured=10, handed=10))
    assert (ledger.stored, total.failed) == (6, {"store": 4})
    assert total.missing == total.in_flight == 0
