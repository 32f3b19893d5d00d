"""The kinds of actors that a live run is made of."""

from __future__ import annotations

from roadmask.streaming.live.reader_actor import ReaderActor
from roadmask.streaming.live.recorder_actor import RecorderActor
from roadmask.streaming.live.revivable import Spares
from roadmask.streaming.live.segmenter_actor import SegmenterActor


class Actors:
    """Where the actors of a run come from. A context manager; leaving it ends the spare ones."""

    def __init__(self) -> None:
        self.segmenters = Spares(SegmenterActor)
        self.readers = Spares(ReaderActor, concurrency=4)
        self.recorders = Spares(RecorderActor)
        self._all = (self.segmenters, self.readers, self.recorders)

    def start(self, cameras: int) -> None:
        """Starts all that a run needs at the same time: importing takes them seconds."""
        self.segmenters.start(1)
        self.readers.start(cameras)
        self.recorders.start(cameras)

    def refill(self) -> None:
        """Starts a spare one of each kind, soon."""
        for spares in self._all:
            spares.refill()

    def __enter__(self) -> Actors:
        return self

    def __exit__(self, *_: object) -> None:
        for spares in self._all:
            spares.close()
