"""Reads one camera ahead of the engine and counts the frames that it captured."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from roadmask.engines.errors import RoadmaskError, SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource

AHEAD_FRAMES = 8
"""Maximum number of frames decoded ahead of the engine."""
AHEAD_BYTES = 128 * 2**20
"""Maximum number of bytes decoded ahead of the engine; one frame is always allowed."""


class Reader:
    """Decodes in a thread of its own; iterate it to get the frames in order.

    Args:
        source: the camera; read to its end, or to `frames_max` frames. Closed with the reader.
        frames_max: number of frames to read, without those that no player shows; all if None.
        skip: number of frames at the start that are read but not handed on, because an earlier run accounted for them.
        items: an iteration of `source` that has begun, such as that of a probe; a new one if None.
    """

    def __init__(
        self,
        source: FrameSource,
        frames_max: int | None = None,
        skip: int = 0,
        items: Iterator[Frame | LostFrame] | None = None,
    ) -> None:
        self._source = source
        self._items = items
        self._frames_max = frames_max
        self._skip = skip
        self._stopped_early = False
        self._ahead: queue.Queue[Frame | LostFrame | RoadmaskError | None] = queue.Queue(AHEAD_FRAMES)
        self._bytes = _ByteBudget(AHEAD_BYTES)
        self._stopping = threading.Event()
        self._captured = 0
        self._thread = threading.Thread(target=self._read, name=f"reader-{source.camera}", daemon=True)

    @property
    def captured(self) -> int:
        """Number of frames captured so far; final once the iteration has ended."""
        return self._captured

    @property
    def stopped_early(self) -> bool:
        """Whether `stop` ended the iteration before the source did; final once it has ended."""
        return self._stopped_early

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Yields frames until the source ends or `stop` is called.

        Raises:
            SourceError: the source broke; what came before it was yielded.
        """
        self._thread.start()
        while True:
            item = self._ahead.get()
            if item is None:
                return
            if isinstance(item, RoadmaskError):
                raise item
            self._bytes.release(_size(item))
            yield item

    def stop(self) -> None:
        """Ends the iteration after the frames that were read ahead; may be called from any thread."""
        self._stopping.set()

    def close(self) -> None:
        """Ends the thread and closes the source."""
        self.stop()
        self._bytes.close()
        while self._thread.is_alive():
            try:
                self._ahead.get(timeout=0.05)
            except queue.Empty:
                continue
        self._source.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        """Runs in the thread.

        The number of captured frames comes from the source, which counts them as they are captured, and not from what
        passes through here: a frame that is lost on the way shows in the ledger. If reading ends early, frames that are
        still inside the decoder do not count; the index of the last item says how many came before it.
        """
        try:
            frames = 0
            for count, item in enumerate(self._source if self._items is None else self._items, 1):
                self._captured = item.frame_index + 1
                if count > self._skip:
                    self._bytes.acquire(_size(item))
                    self._ahead.put(item)
                frames += isinstance(item, Frame) or item.outcome == "failed"
                if frames == self._frames_max:
                    break
                if self._stopping.is_set():
                    self._stopped_early = True
                    break
            else:
                self._captured = self._source.captured
        except RoadmaskError as error:
            self._ahead.put(error)
        except Exception as error:
            broken = SourceError(
                f"camera {self._source.camera!r} broke while it was read: {error!r}; what came before is kept."
            )
            broken.__cause__ = error
            self._ahead.put(broken)
        else:
            self._ahead.put(None)


class _ByteBudget:
    """Blocks a thread that acquires bytes while the budget is used up; a single holder may exceed it."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held = 0
        self._closed = False
        self._changed = threading.Condition()

    def acquire(self, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._held or self._held + size <= self._budget)
            self._held += size

    def release(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(item: Frame | LostFrame) -> int:
    return item.image.nbytes if isinstance(item, Frame) else 0
