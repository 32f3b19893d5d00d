"""The ledger of a live camera, kept while its frames are in flight."""

from __future__ import annotations

from roadmask.streaming.ledger import Ledger, Outcome
from roadmask.streaming.sources.live.counts import READER_DIED, Counts
from roadmask.streaming.sources.live.protocol import FrameNote

LATE, WATCHED, STOPPED = "late", "watched", "stopped"
"""Reasons of dropped frames: waiting for the engine alone took longer than the latency budget; the frame was tracked
and shown, but not stored; the run ended. A decoder has more reasons, see `sources.live.counts`."""
ENGINE, TRACK, STORE = "engine", "track", "store"
SEGMENTER_DIED, WRITER_DIED = "segmenter_died", "writer_died"
"""Reasons of failed frames: the stage refused the frame, or its process died with it."""


class LiveLedger:
    """The frames of one camera from the moment they leave its decoder.

    The decoder counts frames in a file that outlives its process (`CountsFile`); here they are counted again, one by
    one, as their outcomes become known. Every report compares the two counts.
    """

    def __init__(self) -> None:
        self._decided = Ledger()
        self._in_flight: dict[int, int] = {}
        """Index of each frame in flight -> its capture time, monotonic."""
        self._at_recorder: set[int] = set()
        self._received = 0
        self._closed = False

    @property
    def stored(self) -> int:
        """Frames in the store."""
        return self._decided.stored

    @property
    def in_flight(self) -> list[int]:
        """Indices of the frames that were received and are not decided."""
        return list(self._in_flight)

    def receive(self, note: FrameNote) -> None:
        """Counts a frame that arrived from its decoder; those between it and the one before died with a decoder."""
        if lost := note.number - self._received - 1:
            self._decided.lose("failed", READER_DIED, lost)
        self._received = note.number
        self._in_flight[note.frame_index] = note.monotonic_ns

    def hand_to_recorder(self, frame_index: int) -> None:
        """Notes that the recorder has a frame: it dies with the recorder unless its outcome is known."""
        if frame_index in self._in_flight:
            self._at_recorder.add(frame_index)

    def decide(self, outcome: Outcome) -> int | None:
        """Counts the outcome of a frame.

        Returns:
            When the frame was captured, monotonic; None if it was decided before, as what a recorder had when it died.
        """
        captured_ns = self._in_flight.pop(outcome.frame_index, None)
        self._at_recorder.discard(outcome.frame_index)
        if captured_ns is not None:
            self._decided.add(outcome)
        return captured_ns

    def drop(self, frame_index: int, reason: str) -> None:
        """Counts a frame that was left out on purpose."""
        self.decide(Outcome(frame_index, "dropped", reason))

    def fail(self, frame_index: int, reason: str) -> None:
        """Counts a frame that could not be used."""
        self.decide(Outcome(frame_index, "failed", reason))

    def restart_recorder(self, committed: int, reason: str = WRITER_DIED) -> None:
        """Counts what a recorder lost that died, or whose store failed for good: all that it had not committed.

        Args:
            committed: frames in the store, as the next recorder found it.
            reason: why they are lost.
        """
        for frame_index in self._at_recorder:
            del self._in_flight[frame_index]
        self._decided.lose("failed", reason, self._decided.stored + len(self._at_recorder) - committed)
        self._decided.stored = committed
        self._at_recorder.clear()

    def close(self, counts: Counts) -> None:
        """Counts what is still on its way from the decoder when the run ends: it will not come."""
        self._decided.lose("dropped", STOPPED, self._on_the_way(counts))
        self._closed = True

    def total(self, counts: Counts) -> Ledger:
        """Returns the ledger of the camera at this moment.

        Args:
            counts: of the camera's decoder.
        """
        total = counts.ledger + self._decided
        total.in_flight = len(self._in_flight) + (0 if self._closed else self._on_the_way(counts))
        return total

    def _on_the_way(self, counts: Counts) -> int:
        """Returns how many frames the decoder holds or handed on that did not arrive here."""
        return counts.held + counts.handed - self._received
