"""Takes one camera's frames from its reader through the engine to its recorder, and accounts for each of them.

It runs in the process that started the run, and sees references, never pixels.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from ray.exceptions import RayError

from roadmask.engines.errors import LedgerError, RoadmaskError
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.accounts import ENGINE, LATE, SEGMENTER_DIED, Account
from roadmask.streaming.live.actors import Actors
from roadmask.streaming.live.address import Address
from roadmask.streaming.live.audience import LiveAudience
from roadmask.streaming.live.batching import EngineNote
from roadmask.streaming.live.counts import CountsFile
from roadmask.streaming.live.ending import CameraEnd, RecorderSettings
from roadmask.streaming.live.gauges import Gauges
from roadmask.streaming.live.reader import FrameNote, ReaderStatus
from roadmask.streaming.live.recording import Recording
from roadmask.streaming.live.reports import CameraReport, CameraState
from roadmask.streaming.live.revivable import ANSWER_S, DEATHS, Revivable, answered, awaited, own_error, revived, within

NEXT_S = 0.5
"""How long a reader is asked to wait for an image."""
HANGS_S, ENGINE_HANGS_S = 30.0, 600.0
"""A reader, or the engine, that does not answer for so long hangs and is killed; machines are busy at times, and a
image of a new shape may need a graph that must be exported first."""
ENGINE_BEGINS_S = 3600.0
"""The same for a camera's first image, before which all graphs are made."""
AT_RECORDER_MAX = 4
"""Frames on their way to the recorder, at most; those that it holds back for their tracks do not count."""
_GLANCE_S = 1.0
"""A report waits no longer than this for a reader."""
_log = logging.getLogger(__name__)


class Conductor:
    """One camera of a live run.

    Args:
        address: the camera.
        counts: its counts, in a file that exists.
        segmenter: shared by all cameras.
        actors: where its reader and its recorder come from.
        settings: for the recorder.
        audience: gets the images.
    """

    def __init__(
        self,
        address: Address,
        counts: CountsFile,
        segmenter: Revivable,
        actors: Actors,
        settings: RecorderSettings,
        audience: LiveAudience,
    ) -> None:
        self.camera = address.camera
        self._address = address
        self._counts = counts
        self._segmenter = segmenter
        self._audience = audience
        self.account = Account()
        self._gauges = Gauges()
        self._reader = Revivable(actors.readers, f"reader of {self.camera}", self._open_reader)
        self._reader_pid = 0
        self._recording = Recording(self.camera, actors.recorders, settings, self.account, counts, self._gauges)
        self.limit_fps: float | None = None
        """Images a second that the reader picks, at most; all if None."""
        self.engine: EngineNote | None = None
        """What the engine told last."""
        self._stopping = False
        self._depth = 2
        self._in_engine = 0
        self._pushing = 0
        self._changed = asyncio.Event()
        self._carrying: set[asyncio.Task[None]] = set()
        self._before: asyncio.Future[None] | None = None
        self._status = ReaderStatus(CameraState.CONNECTING, "starting", ended=False, restarts=0, decoder_pid=0)

    @property
    def handles(self) -> tuple[Any, Any]:
        """The actors of the reader and the recorder."""
        return self._reader.handle, self._recording.actor.handle

    @property
    def pids(self) -> dict[str, int]:
        """Process of each actor, for those who want to kill it."""
        return {"reader": self._reader_pid, "recorder": self._recording.pid}

    @property
    def storing(self) -> bool:
        """Whether frames are stored now."""
        return self._recording.outcome.storing

    @property
    def store_detail(self) -> str:
        """Why not, if they should."""
        return self._recording.outcome.store_detail

    async def open(self) -> None:
        """Starts the recorder, then the reader.

        Raises:
            StoreError: the camera cannot be stored.
        """
        await self._recording.open(self._recording.actor.handle)
        await self._open_reader(self._reader.handle)

    async def run(self) -> None:
        """Carries frames until the camera ends or `stop` is called."""
        over = False
        while not self._stopping:
            await self._room()
            await self._segmenter.ready()
            generation = self._reader.generation
            try:
                note_ref, frame = self._reader.handle.next.options(num_returns=2).remote(NEXT_S, self.limit_fps)
                note: FrameNote | None = await answered(self._reader, note_ref, NEXT_S + HANGS_S)
            except (RayError, RoadmaskError) as error:
                if not isinstance(error, DEATHS):
                    _log.warning("camera %s: its reader failed: %s", self.camera, own_error(error))
                    self._reader.kill()
                await revived(self._reader, generation)
                continue
            if note is not None:
                self._begin(note, frame)
            elif over:
                break
            else:  # a last image may have come between the two questions
                over = (await self._look_at_reader(ANSWER_S)).ended
        while self._carrying:
            await asyncio.wait(self._carrying)

    def stop(self) -> None:
        """Ends `run` after the frames that are on their way."""
        self._stopping = True
        self._changed.set()

    async def close(self) -> CameraEnd:
        """Stores what waits, closes the store, and accounts for every frame."""
        await self._look_at_reader(ANSWER_S)
        await self._recording.rest()
        await within(self._reader.handle.close.remote())
        self._reader.kill()
        counts = self._counts.read()
        self.account.finish(counts)
        problem = await self._recording.close(counts)
        losses = self.account.for_store(counts)
        ledger = Ledger(counts.captured, self.account.stored, losses.dropped, losses.failed)
        if problem is None and self.account.missing(counts):
            problem = LedgerError(f"camera {self.camera!r}: {self.account.missing(counts)} frames went missing.")
        return CameraEnd(self.camera, ledger, self.account.watched, self._status.state, self._status.detail, problem)

    async def report(self, limit_changes: int) -> CameraReport:
        """Returns the state of the camera; also gives the recorder the chance to commit.

        Args:
            limit_changes: how often `limit_fps` was changed.
        """
        await self._look_at_reader(_GLANCE_S)
        self._recording.tick()
        counts = self._counts.read()
        if missing := self.account.missing(counts):
            _log.error("camera %s: %d captured frames are in no column of the ledger", self.camera, missing)
        page = self._audience.page_ages(self.camera)
        seen = dict(self._recording.outcome.counts)
        report = self._gauges.report(self.camera, self._status, counts, self.account, seen, page)
        limited = self.limit_fps is not None and report.captured_fps > self.limit_fps
        return replace(report, limit_fps=self.limit_fps if limited else None, limit_changes=limit_changes)

    async def _room(self) -> None:
        while (self._in_engine >= self._depth or self._pushing >= AT_RECORDER_MAX) and not self._stopping:
            self._changed.clear()
            await self._changed.wait()

    def _begin(self, note: FrameNote, frame: Any) -> None:
        self.account.receive(note)
        self._gauges.age("decode", note.taken_ns)
        self._in_engine += 1
        self._pushing += 1
        before, done = self._before, asyncio.get_running_loop().create_future()
        self._before = done
        task = asyncio.create_task(self._carry(note, frame, before, done))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(
        self, note: FrameNote, frame: Any, before: asyncio.Future[None] | None, pushed: asyncio.Future[None]
    ) -> None:
        """Takes one frame to its end; frames reach the recorder in their order."""
        try:
            found = await self._segment(note, frame)
            if before is not None:
                await before
            if found is not None:
                image = await self._recording.push(note, frame, found, pushed)
                if image is not None:
                    self._audience.publish(image)
        finally:
            if not pushed.done():
                pushed.set_result(None)
            self._pushing -= 1
            self._changed.set()

    async def _segment(self, note: FrameNote, frame: Any) -> Any:
        """Returns a reference to what is in a frame; None if it goes no further."""
        generation = self._segmenter.generation
        try:
            note_ref, found = self._segmenter.handle.segment.options(num_returns=2).remote(frame, note.taken_ns)
            patience_s = ENGINE_BEGINS_S if self.engine is None else ENGINE_HANGS_S
            engine: EngineNote = await answered(self._segmenter, note_ref, patience_s)
        except DEATHS:
            self.account.fail(note.frame_index, SEGMENTER_DIED)
            self._detach(revived(self._segmenter, generation))
            return None
        except (RayError, RoadmaskError) as error:
            _log.warning("camera %s: the engine failed: %s", self.camera, own_error(error))
            self.account.fail(note.frame_index, ENGINE)
            return None
        finally:
            self._in_engine -= 1
            self._changed.set()
        self._depth = 2 if engine.ahead else 1
        self.engine = engine
        self._gauges.age("queue", note.taken_ns, engine.begun_ns)
        if engine.late:
            self.account.drop(note.frame_index, LATE)
            return None
        self._gauges.age("engine", note.taken_ns, engine.done_ns)
        if engine.failure is not None:
            self.account.fail(note.frame_index, ENGINE)
            return None
        return found

    async def _look_at_reader(self, patience_s: float) -> ReaderStatus:
        try:
            self._status = await asyncio.wait_for(awaited(self._reader.handle.status.remote()), patience_s)
        except TimeoutError:
            detail = "the process that reads it does not answer; the machine may be too busy"
            self._status = replace(self._status, state=CameraState.STALLED, detail=detail)
        except DEATHS:
            detail = "the process that reads it died; another one takes its place"
            self._status = ReaderStatus(CameraState.RECONNECTING, detail, False, self._status.restarts, 0)
        return self._status

    async def _open_reader(self, handle: Any) -> None:
        self._reader_pid = await handle.open.remote(self._address, self._counts.path)

    def _detach(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
