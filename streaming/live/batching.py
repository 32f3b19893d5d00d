"""One engine for many cameras, within a latency budget."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from roadmask.engines.segmenter import Image
from roadmask.streaming.segmentation import FailedSegmentation, Segmentation

BUDGET_BATCHES = 3.0
"""Default latency budget as a multiple of the duration of a full batch."""
BUDGET_MIN_MS = 100.0
"""Shortest default budget in milliseconds: handing a frame from process to process takes some."""
_TRIALS = 3
_PAYS = 0.9
"""Batches pay if an image in a full batch takes less than this share of its time alone."""
_LATELY_NS, _LATELY_MIN = 5_000_000_000, 3
"""The time per image is the mean over the batches of this time, and over this many batches at least."""
_RECENT_NS = 1_000_000_000
_DRIFT, _DRIFT_BATCHES = 1.5, 8
"""A default budget is set again when the engine has become slower or faster by more than this factor in this many
batches: the machine may have been busy when it was measured at the start."""


@dataclass(frozen=True)
class EngineNote:
    """What became of a frame at the engine: small, while its masks may be large."""

    started_ns: int
    """When the batch started, nanoseconds of the monotonic clock."""
    done_ns: int
    """When the batch completed, nanoseconds of the monotonic clock."""
    late: bool = False
    """Whether the frame was left out because waiting alone exceeded the budget."""
    failure: str | None = None
    """Why the engine failed on the frame; None if it did not."""
    image_ms: float | None = None
    """Recent time per image in milliseconds, its share of a batch; None before the first batch completes."""
    budget_ms: float | None = None
    """Latency budget: maximum age of a frame when its batch completes, milliseconds; None before the first batch."""
    ahead: bool = True
    """Whether a second frame of the camera may wait while one is in the engine without exceeding the budget."""


@dataclass(frozen=True)
class Timing:
    """How fast the engine is on this machine."""

    alone_ms: float
    """Median duration of a batch of one image, milliseconds."""
    batch_ms: float
    """Median duration of a full batch, milliseconds."""
    budget_ms: float
    """Latency budget: maximum age of a frame when its batch completes, milliseconds."""
    pays: bool
    """Whether waiting for a fuller batch saves time."""

    def expected_ms(self, size: int, batch_max: int) -> float:
        """Returns the expected duration of a batch of this size, milliseconds."""
        return self.alone_ms + (self.batch_ms - self.alone_ms) * (size - 1) / max(batch_max - 1, 1)


@dataclass(eq=False)
class _Waiting:
    camera: str
    image: Image
    captured_ns: int
    arrived_ns: int
    answer: asyncio.Future[tuple[EngineNote, Segmentation | None]]


class LiveBatcher:
    """Gathers frames of all cameras into batches, at most one of each camera in a batch.

    A batch closes when it is full, or when waiting for more frames would exceed the budget of its oldest one. Where
    batches do not pay, as on a CPU that segments one image after the other, no frame waits for others. The frame that
    has waited longest goes first, so no camera can starve another.

    Args:
        segment: segments a batch and returns one result per image; runs in a thread of its own.
        warm_up: prepares for images of a (height, width).
        cameras: number of cameras, which is also the size of the largest batch.
        budget_ms: latency budget in milliseconds; three times the duration of a full batch if None.
    """

    def __init__(
        self,
        segment: Callable[[Sequence[Image]], list[Segmentation]],
        warm_up: Callable[[tuple[int, int]], None],
        cameras: int,
        budget_ms: float | None = None,
    ) -> None:
        self._segment = segment
        self._warm_up = warm_up
        self._batch_max = max(cameras, 1)
        self._budget_ms = budget_ms
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._seen: dict[str, int] = {}
        self._late: set[str] = set()
        self._sizes: set[tuple[int, int]] = set()
        self._took_ms: deque[float] = deque(maxlen=64)
        self._slower: deque[float] = deque(maxlen=64)
        self._lately: deque[tuple[int, int, int]] = deque()
        """Start, end (monotonic, nanoseconds) and number of images of each recent batch."""
        self._forgot_ns = 0
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker: asyncio.Task[None] | None = None
        self.timing: Timing | None = None
        """Measured with the first frame; None before."""

    async def __call__(self, camera: str, image: Image, captured_ns: int) -> tuple[EngineNote, Segmentation | None]:
        """Returns what is in a frame, or a note that says why not.

        Args:
            camera: name of its camera.
            image: uint8 (H, W, 3) RGB.
            captured_ns: its capture time, nanoseconds of the monotonic clock.
        """
        answer: asyncio.Future[tuple[EngineNote, Segmentation | None]] = asyncio.get_running_loop().create_future()
        now_ns = time.monotonic_ns()
        self._seen[camera] = now_ns
        self._waiting.append(_Waiting(camera, image, captured_ns, now_ns, answer))
        self._arrived.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    def forget_speed(self) -> None:
        """Forgets how long batches took: from now on the engine is a faster or slower one."""
        self._forgot_ns = time.monotonic_ns()
        self._lately.clear()
        self._slower.clear()

    async def _work(self) -> None:
        while self._waiting:
            await self._fill()
            batch = self._close()
            started_ns = time.monotonic_ns()
            for frame in [frame for frame in batch if self._is_late(frame, started_ns)]:
                batch.remove(frame)
                self._late.add(frame.camera)
                frame.answer.set_result((self._note(started_ns, started_ns, late=True), None))
            if batch:
                await self._run(batch)

    async def _run(self, batch: list[_Waiting]) -> None:
        images = [frame.image for frame in batch]
        try:
            started_ns, results = await asyncio.get_running_loop().run_in_executor(self._engine, self._timed, images)
        except Exception as error:  # whatever it is, those who wait must hear of it
            for frame in batch:
                if not frame.answer.done():
                    frame.answer.set_exception(error)
            return
        done_ns = time.monotonic_ns()
        self._took_ms.append((done_ns - started_ns) / 1e6)
        if started_ns >= self._forgot_ns:
            self._follow(len(batch))
            self._lately.append((started_ns, done_ns, len(batch)))
        while len(self._lately) > _LATELY_MIN and self._lately[0][1] < done_ns - _LATELY_NS:
            self._lately.popleft()
        for frame, result in zip(batch, results, strict=True):
            self._late.discard(frame.camera)
            failure = result.reason if isinstance(result, FailedSegmentation) else None
            note = self._note(started_ns, done_ns, failure=failure)
            if not frame.answer.done():
                frame.answer.set_result((note, None if failure is not None else result))

    async def _fill(self) -> None:
        """Waits for more frames while batches pay and the oldest frame has time."""
        while self.timing is not None and self.timing.pays and not self._full():
            oldest_ns = min(frame.captured_ns for frame in self._waiting)
            left_ms = self.timing.budget_ms - self.batch_ms - (time.monotonic_ns() - oldest_ns) / 1e6
            if left_ms <= 0:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left_ms / 1e3)
            except TimeoutError:
                return

    def _full(self) -> bool:
        """Returns whether a frame of every camera that sends at present is waiting."""
        now_ns = time.monotonic_ns()
        there = {frame.camera for frame in self._waiting}
        sending = {camera for camera, seen_ns in self._seen.items() if now_ns - seen_ns < _RECENT_NS}
        return len(there) >= min(len(sending), self._batch_max)

    def _close(self) -> list[_Waiting]:
        """Takes the longest-waiting frame of each camera out of the queue."""
        batch: dict[str, _Waiting] = {}
        for frame in self._waiting:  # in order of arrival
            if frame.camera not in batch and len(batch) < self._batch_max:
                batch[frame.camera] = frame
        for frame in batch.values():
            self._waiting.remove(frame)
        return list(batch.values())

    def _is_late(self, frame: _Waiting, now_ns: int) -> bool:
        """Returns whether the time in this queue alone exceeded the budget; never twice in a row for a camera."""
        if self.timing is None or frame.camera in self._late:
            return False
        waited_ms = (now_ns - frame.arrived_ns) / 1e6
        return waited_ms > max(self.timing.budget_ms - self.batch_ms, self.batch_ms) + self.batch_ms

    @property
    def batch_ms(self) -> float:
        """Recent median duration of a batch, milliseconds."""
        return median(self._took_ms) if self._took_ms else 0.0

    def _follow(self, size: int) -> None:
        """Sets a default budget again when the engine has become slower or faster."""
        if self.timing is None or self._budget_ms is not None:
            return
        self._slower.append(self._took_ms[-1] / self.timing.expected_ms(size, self._batch_max))
        factor = median(self._slower)
        if len(self._slower) >= _DRIFT_BATCHES and not 1 / _DRIFT <= factor <= _DRIFT:
            alone_ms, batch_ms = self.timing.alone_ms * factor, self.timing.batch_ms * factor
            self.timing = Timing(alone_ms, batch_ms, _budget_ms(batch_ms), self.timing.pays)
            self._slower.clear()

    def _note(self, started_ns: int, done_ns: int, *, late: bool = False, failure: str | None = None) -> EngineNote:
        images = sum(size for _, _, size in self._lately)
        took_ns = sum(done_ns - started_ns for started_ns, done_ns, _ in self._lately)
        image_ms = took_ns / 1e6 / images if images else None
        budget_ms = None if self.timing is None else self.timing.budget_ms
        ahead = budget_ms is None or budget_ms >= 2 * self.batch_ms
        return EngineNote(started_ns, done_ns, late, failure, image_ms, budget_ms, ahead)

    def _timed(self, images: list[Image]) -> tuple[int, list[Segmentation]]:
        """Runs in the engine's thread; prepares for new image sizes before the clock starts."""
        for image in images:
            size = (image.shape[0], image.shape[1])
            if size not in self._sizes:
                self._warm_up(size)
                self._sizes.add(size)
        if self.timing is None:
            self.timing = self._measure(images[0])
        started_ns = time.monotonic_ns()
        return started_ns, self._segment(images)

    def _measure(self, image: Image) -> Timing:
        alone_ms = self._median_ms([image])
        batch_ms = self._median_ms([image] * self._batch_max) if self._batch_max > 1 else alone_ms
        budget_ms = self._budget_ms or _budget_ms(batch_ms)
        return Timing(alone_ms, batch_ms, budget_ms, batch_ms < _PAYS * alone_ms * self._batch_max)

    def _median_ms(self, images: list[Image]) -> float:
        took = []
        for _ in range(_TRIALS):
            started = time.monotonic_ns()
            self._segment(images)
            took.append((time.monotonic_ns() - started) / 1e6)
        return median(took)


def _budget_ms(batch_ms: float) -> float:
    return max(BUDGET_BATCHES * batch_ms, BUDGET_MIN_MS)
