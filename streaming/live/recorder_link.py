"""What the coordinator of a camera does with its recorder: hands it frames, and learns what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ray.exceptions import RayError

from roadmask.engines.errors import LedgerError, RoadmaskError, StoreError
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.gauges import Gauges
from roadmask.streaming.live.ledger import STORE, TRACK, WRITER_DIED, LiveLedger
from roadmask.streaming.live.recorder import RecorderAnswer
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.live.restart import DEATHS, RestartableActor, StandbyPool, own_error
from roadmask.streaming.live.settings import RecorderSettings
from roadmask.streaming.live.store_sink import committed_frames
from roadmask.streaming.sources.live.counts import Counts, CountsFile
from roadmask.streaming.sources.live.protocol import FrameNote

HANGS_S, ABORT_S = 60.0, 10.0
"""Seconds without an answer after which a recorder hangs and is killed, and the same for one whose store failed."""
_log = logging.getLogger(__name__)


class RecorderLink:
    """The recorder of one camera, and the frames whose outcome it has not reported.

    Args:
        camera: its name.
        recorders: where the recorder comes from.
        settings: for the recorder.
        ledger: of the camera.
        counts: of the camera's decoder.
        gauges: of the camera.
    """

    def __init__(
        self,
        camera: str,
        recorders: StandbyPool,
        settings: RecorderSettings,
        ledger: LiveLedger,
        counts: CountsFile,
        gauges: Gauges,
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._ledger = ledger
        self._counts = counts
        self._gauges = gauges
        self.actor = RestartableActor(recorders, f"recorder of {camera}", self.open)
        self.pid = 0
        """Id of the recorder's process."""
        self.last = RecorderAnswer()
        """What the recorder said last."""
        self._ticking: asyncio.Task[None] | None = None

    async def open(self, handle: Any) -> None:
        """Opens an actor; what one before it did not commit is lost.

        Raises:
            StoreError: the camera cannot be stored.
        """
        committed, self.pid = await handle.open.remote(self._camera, self._settings)
        self._ledger.restart_recorder(committed)

    async def push(self, note: FrameNote, frame: Any, found: Any, sent: asyncio.Future[None]) -> LiveImage | None:
        """Hands a frame on, and waits until it was tracked.

        Args:
            note: about the frame.
            frame: reference to it.
            found: reference to what is in it.
            sent: is set once the next frame may be handed on.

        Returns:
            The frame as it is shown; None if nobody looks.
        """
        await self.actor.ready()
        generation = self.actor.generation
        self._ledger.hand_to_recorder(note.frame_index)
        reference = self.actor.handle.push.remote(frame, found, self._total(), self._settings.show)
        sent.set_result(None)
        try:
            answer: RecorderAnswer = await self.actor.answer(reference, HANGS_S)
        except DEATHS:
            if not await self.actor.try_restart(generation):
                self._ledger.fail(note.frame_index, WRITER_DIED)
            return None
        except (RayError, RoadmaskError) as error:
            _log.warning("camera %s: a frame could not be tracked: %s", self._camera, own_error(error))
            self._ledger.fail(note.frame_index, TRACK)
            return None
        self._gauges.age("track", note.monotonic_ns, answer.tracked_ns)
        self._gauges.masks_of(note.monotonic_ns)
        self.last = answer
        self._take(answer)
        return answer.image

    def tick(self) -> None:
        """Asks what became of frames, and gives the recorder the chance to commit; nobody waits for the answer."""
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())

    async def rest(self) -> None:
        """Waits until no question is open."""
        if self._ticking is not None:
            await asyncio.gather(self._ticking, return_exceptions=True)  # what it found is asked for again

    async def close(self, counts: Counts) -> RoadmaskError | None:
        """Stores what waits and closes the store; returns why that failed, if it did.

        Args:
            counts: of the camera's decoder, which has ended.
        """
        problem: RoadmaskError | None = None
        try:
            self._take(await self._ask("finish"))
            # If the recorder dies over it, its successor is told what died with it.
            await self._ask("close", lambda: (self._ledger.total(counts),))
        except (RoadmaskError, RayError) as error:
            cause = own_error(error)
            problem = cause if isinstance(cause, RoadmaskError) else StoreError(f"the recorder died: {cause}.")
            if self._settings.store is not None and not isinstance(cause, LedgerError):
                with suppress(RayError, RoadmaskError):
                    await self.actor.answer(self.actor.handle.abort.remote(), ABORT_S)
                self._ledger.restart_recorder(committed_frames(self._settings.store / self._camera), STORE)
        self.actor.kill()
        return problem

    async def _tick(self) -> None:
        generation = self.actor.generation
        try:
            answer = await self.actor.handle.tick.remote(self._total())
        except DEATHS:
            await self.actor.try_restart(generation)
            return
        self._take(answer)
        self.last = replace(self.last, storing=answer.storing, store_detail=answer.store_detail)

    async def _ask(self, what: str, arguments: Callable[[], tuple[Any, ...]] = tuple) -> Any:
        """Calls a method of the recorder; if the recorder dies over it, its successor is asked."""
        for _ in range(2):
            await self.actor.ready()
            generation = self.actor.generation
            try:
                return await getattr(self.actor.handle, what).remote(*arguments())
            except DEATHS:
                await self.actor.restart(generation)
        return await getattr(self.actor.handle, what).remote(*arguments())

    def _take(self, answer: RecorderAnswer) -> None:
        for outcome in answer.outcomes:
            captured_ns = self._ledger.decide(outcome)
            if captured_ns is not None and outcome.state == "stored":
                self._gauges.age("store", captured_ns, outcome.monotonic_ns)

    def _total(self) -> Ledger:
        return self._ledger.total(self._counts.read())
