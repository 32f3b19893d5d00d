"""What the conductor of a camera has to do with its recorder: hand it frames, and learn what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ray.exceptions import RayError

from roadmask.engines.errors import LedgerError, RoadmaskError, StoreError
from roadmask.streaming.live.accounts import STORE, TRACK, WRITER_DIED, Account
from roadmask.streaming.live.counts import Counts, CountsFile
from roadmask.streaming.live.ending import RecorderSettings, committed_frames
from roadmask.streaming.live.gauges import Gauges
from roadmask.streaming.live.reader import FrameNote
from roadmask.streaming.live.recorder import Outcome
from roadmask.streaming.live.reports import LiveImage
from roadmask.streaming.live.revivable import DEATHS, Revivable, Spares, answered, own_error, revived, within

HANGS_S = 60.0
"""A recorder that does not answer for so long hangs and is killed; its disk cannot make it wait."""
_log = logging.getLogger(__name__)


class Recording:
    """The recorder of one camera, and the frames whose fate it has not told.

    Args:
        camera: its name.
        recorders: where the recorder comes from.
        settings: for the recorder.
        account: of the camera.
        counts: of the camera.
        gauges: of the camera.
    """

    def __init__(
        self,
        camera: str,
        recorders: Spares,
        settings: RecorderSettings,
        account: Account,
        counts: CountsFile,
        gauges: Gauges,
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._account = account
        self._counts = counts
        self._gauges = gauges
        self.actor = Revivable(recorders, f"recorder of {camera}", self.open)
        self.pid = 0
        """Of its process."""
        self.outcome = Outcome()
        """What it said last."""
        self._open_fates: dict[int, int] = {}
        """Index of each frame whose fate it has not told -> when it was taken."""
        self._ticking: asyncio.Task[None] | None = None

    async def open(self, handle: Any) -> None:
        """Opens an actor; what one before it did not commit is lost.

        Raises:
            StoreError: the camera cannot be stored.
        """
        settings = self._settings
        committed, self.pid = await handle.open.remote(
            self._camera, settings.config, settings.class_names, settings.store, settings.floor_bytes, settings.keep
        )
        self._account.go_on(committed, self._open_fates)
        self._open_fates.clear()

    async def push(self, note: FrameNote, frame: Any, found: Any, sent: asyncio.Future[None]) -> LiveImage | None:
        """Hands a frame on, and waits until it was followed.

        Args:
            note: of the frame.
            frame: reference to it.
            found: reference to what is in it.
            sent: is set once the next frame may be handed on.

        Returns:
            The frame as it is shown, if anybody looks.
        """
        await self.actor.ready()
        generation = self.actor.generation
        self._open_fates[note.frame_index] = note.taken_ns
        losses = self._account.for_store(self._counts.read())
        answer = self.actor.handle.push.remote(frame, found, losses, self._settings.show)
        sent.set_result(None)
        try:
            outcome: Outcome = await answered(self.actor, answer, HANGS_S)
        except DEATHS:
            if not await revived(self.actor, generation):
                self._fail(note.frame_index, WRITER_DIED)
            return None
        except (RayError, RoadmaskError) as error:
            _log.warning("camera %s: a frame could not be followed: %s", self._camera, own_error(error))
            self._fail(note.frame_index, TRACK)
            return None
        self._gauges.age("track", note.taken_ns, outcome.tracked_ns)
        self._gauges.masks_of(note.taken_ns)
        self.outcome = outcome
        self._settle(outcome)
        return outcome.image

    def tick(self) -> None:
        """Asks what became of frames, and gives the recorder the chance to commit; nobody waits for the answer."""
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())

    async def rest(self) -> None:
        """Waits until nobody asks any more."""
        if self._ticking is not None:
            await asyncio.gather(self._ticking, return_exceptions=True)  # what it found is asked for again

    async def close(self, counts: Counts) -> RoadmaskError | None:
        """Stores what waits and closes the store; returns why that failed, if it did."""
        problem: RoadmaskError | None = None
        try:
            self._settle(await self._ask("finish"))
            # Where the recorder dies over it, its successor is told of what died with it.
            await self._ask("close", lambda: (counts.captured, self._account.for_store(counts)))
        except (RoadmaskError, RayError) as error:
            cause = own_error(error)
            problem = cause if isinstance(cause, RoadmaskError) else StoreError(f"the recorder died: {cause}.")
            if self._settings.store is not None and not isinstance(cause, LedgerError):
                await within(self.actor.handle.abandon.remote())
                self._account.go_on(committed_frames(self._settings.store / self._camera), self._open_fates, STORE)
                self._open_fates.clear()
        self.actor.kill()
        return problem

    async def _tick(self) -> None:
        generation = self.actor.generation
        try:
            outcome = await self.actor.handle.tick.remote(self._account.for_store(self._counts.read()))
        except DEATHS:
            await revived(self.actor, generation)
            return
        self._settle(outcome)
        self.outcome = replace(self.outcome, storing=outcome.storing, store_detail=outcome.store_detail)

    async def _ask(self, what: str, arguments: Callable[[], tuple[Any, ...]] = tuple) -> Any:
        """Asks for something; where the recorder dies over it, its successor is asked."""
        for _ in range(2):
            await self.actor.ready()
            generation = self.actor.generation
            try:
                return await getattr(self.actor.handle, what).remote(*arguments())
            except DEATHS:
                await self.actor.revive(generation)
        return await getattr(self.actor.handle, what).remote(*arguments())

    def _settle(self, outcome: Outcome) -> None:
        fates = outcome.fates
        self._account.store(frame_index for frame_index, _ in fates.stored)
        self._account.watch(fates.watched)
        for frame_index, stored_ns in fates.stored:
            if (taken_ns := self._open_fates.pop(frame_index, None)) is not None:
                self._gauges.age("store", taken_ns, stored_ns)
        for frame_index in fates.watched:
            self._open_fates.pop(frame_index, None)

    def _fail(self, frame_index: int, reason: str) -> None:
        if self._open_fates.pop(frame_index, None) is not None:
            self._account.fail(frame_index, reason)
