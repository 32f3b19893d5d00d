"""Takes one camera's frames from its decoder through the engine to its recorder, and accounts for each of them.

It runs in the process that started the run. A thread puts each frame into Ray's object store; from there on, references
travel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from roadmask.engines.errors import LedgerError, RoadmaskError
from roadmask.streaming.ledger import Ledger
from roadmask.streaming.live.actors import LiveActors
from roadmask.streaming.live.batching import EngineNote
from roadmask.streaming.live.gauges import Gauges
from roadmask.streaming.live.ledger import ENGINE, LATE, SEGMENTER_DIED, STOPPED, LiveLedger
from roadmask.streaming.live.recorder_link import RecorderLink
from roadmask.streaming.live.reports import CameraReport, CameraState, LiveViewer
from roadmask.streaming.live.restart import DEATHS, RestartableActor, own_error
from roadmask.streaming.live.settings import RecorderSettings
from roadmask.streaming.sources.live.address import Address
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.protocol import FrameNote
from roadmask.streaming.sources.live.reader import LiveReader, ReaderStatus

T = TypeVar("T")
NEXT_S = 0.5
"""Seconds that a reader waits for an image before the coordinator looks at the camera's state."""
ENGINE_HANGS_S = 600.0
"""Seconds without an answer after which the engine hangs and is killed: an image of a new size may need a graph that
must be exported first."""
ENGINE_BEGINS_S = 3600.0
"""The same for a camera's first image, before which all graphs are made."""
AT_RECORDER_MAX = 4
"""Maximum number of frames on their way to the recorder; those that it holds back for their tracks do not count."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraEnd:
    """What became of a camera."""

    camera: str
    """Name of the camera."""
    ledger: Ledger
    """Every captured frame, accounted for; frames that were only watched are dropped with the reason `watched`."""
    state: CameraState
    """Last state of the camera."""
    detail: str
    """One sentence for people that says why; empty where the state says it all."""
    problem: RoadmaskError | None = None
    """Why its store is not complete; None if it is."""


class CameraCoordinator:
    """One camera of a live run.

    Args:
        address: the camera.
        counts: of its decoder, in a file that exists.
        segmenter: shared by all cameras.
        actors: where its recorder comes from.
        settings: for the recorder.
        viewer: gets the images.
    """

    def __init__(
        self,
        address: Address,
        counts: CountsFile,
        segmenter: RestartableActor,
        actors: LiveActors,
        settings: RecorderSettings,
        viewer: LiveViewer,
    ) -> None:
        self.camera = address.camera
        self._address = address
        self._counts = counts
        self._segmenter = segmenter
        self._viewer = viewer
        self.ledger = LiveLedger()
        self._gauges = Gauges()
        self._reader: LiveReader | None = None
        self._reading = ThreadPoolExecutor(1, thread_name_prefix=f"frames-{self.camera}")
        self.recorder = RecorderLink(self.camera, actors.recorders, settings, self.ledger, counts, self._gauges)
        """The camera's recorder."""
        self.limit_fps: float | None = None
        """Maximum number of images per second that the reader picks; None means no limit."""
        self.engine: EngineNote | None = None
        """What the engine said last."""
        self._stopping = False
        self._waits: set[asyncio.Future[Any]] = set()
        """What need not be waited for if the run ends at once: a frame, the engine, or its successor."""
        self._depth = 2
        self._in_engine = 0
        self._to_recorder = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._before: asyncio.Future[None] | None = None
        self._status = ReaderStatus(CameraState.CONNECTING, "starting", ended=False, restarts=0, decoder_pid=0)

    @property
    def pids(self) -> dict[str, int]:
        """Id of each process of the camera: decoder and recorder."""
        return {"decoder": self._look_at_reader().decoder_pid, "recorder": self.recorder.pid}

    async def open(self) -> None:
        """Starts the recorder.

        Raises:
            StoreError: the camera cannot be stored.
        """
        await self.recorder.open(self.recorder.actor.handle)

    async def run(self) -> None:
        """Reads the camera and carries its frames until it ends or `stop` is called."""
        self._reader = LiveReader(self._address, self._counts.path)
        with suppress(asyncio.CancelledError):
            await self._unless_stopped(self._read())
        while self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self, *, at_once: bool = False) -> None:
        """Ends `run` after the frames that are on their way, or drops those that the engine has."""
        self._stopping = True
        self._changed.set()
        for waiting in self._waits if at_once else ():
            waiting.cancel()

    async def close(self) -> CameraEnd:
        """Stores what waits, closes the store, and accounts for every frame."""
        self._look_at_reader()
        await self.recorder.rest()
        if self._reader is not None:
            await asyncio.get_running_loop().run_in_executor(self._reading, self._reader.close)
        self._reading.shutdown()
        counts = self._counts.read()
        self.ledger.close(counts)
        problem = await self.recorder.close(counts)
        ledger = self.ledger.total(counts)
        if problem is None and (missing := ledger.missing + ledger.in_flight):
            problem = LedgerError(f"camera {self.camera!r}: {missing} frames went missing.")
        return CameraEnd(self.camera, ledger, self._status.state, self._status.detail, problem)

    async def report(self, limit_changes: int) -> CameraReport:
        """Returns the state of the camera; also gives the recorder the chance to commit.

        Args:
            limit_changes: how often `limit_fps` was changed.
        """
        status = self._look_at_reader()
        self.recorder.tick()
        counts = self._counts.read()
        ledger = self.ledger.total(counts)
        if ledger.missing:
            _log.error("camera %s: %d captured frames are in no column of the ledger", self.camera, ledger.missing)
        page = self._viewer.page_ages(self.camera)
        seen = dict(self.recorder.last.counts)
        report = self._gauges.report(self.camera, status, counts, ledger, seen, page)
        limited = self.limit_fps is not None and report.captured_fps > self.limit_fps
        return replace(report, limit_fps=self.limit_fps if limited else None, limit_changes=limit_changes)

    async def _read(self) -> None:
        over = False
        while not self._stopping:
            await self._room()
            await self._segmenter.ready()
            if await self._start_next():
                continue
            if over:
                break
            over = self._look_at_reader().ended  # a last image may have come between the two questions

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for work; raises CancelledError if `stop` cancels it."""
        waiting = asyncio.ensure_future(work)
        self._waits.add(waiting)
        waiting.add_done_callback(self._waits.discard)
        return await waiting

    async def _room(self) -> None:
        """Waits until there is room for a frame at the engine and at the recorder."""
        while (self._in_engine >= self._depth or self._to_recorder >= AT_RECORDER_MAX) and not self._stopping:
            self._changed.clear()
            await self._changed.wait()

    async def _start_next(self) -> bool:
        """Sends the newest frame on its way; returns False if none came in time."""
        taken = await asyncio.get_running_loop().run_in_executor(self._reading, self._take)
        if taken is not None:
            self._start(*taken)
        return taken is not None

    def _take(self) -> tuple[FrameNote, Any] | None:
        """Returns the note about the newest frame, and a reference to it; None in its place if Ray has no room."""
        assert self._reader is not None  # noqa: S101 - `run` made it
        taken = self._reader.next(NEXT_S, self.limit_fps)
        if taken is None:
            return None
        note, frame = taken
        try:
            return note, ray.put(frame)
        except RayError as error:
            _log.warning("camera %s: a frame could not be handed to the engine: %s", self.camera, error)
            return note, None

    def _start(self, note: FrameNote, frame: Any) -> None:
        self.ledger.receive(note)
        self._gauges.age("decode", note.monotonic_ns)
        if frame is None:
            self.ledger.fail(note.frame_index, ENGINE)
            return
        self._in_engine += 1
        self._to_recorder += 1
        before, sent = self._before, asyncio.get_running_loop().create_future()
        self._before = sent
        self._detach(self._carry(note, frame, before, sent))

    async def _carry(
        self, note: FrameNote, frame: Any, before: asyncio.Future[None] | None, sent: asyncio.Future[None]
    ) -> None:
        """Takes one frame to its end; frames reach the recorder in their order."""
        try:
            found = await self._segment(note, frame)
            if before is not None:
                await before
            if found is not None:
                image = await self.recorder.push(note, frame, found, sent)
                if image is not None:
                    self._viewer.publish(image)
        finally:
            if not sent.done():
                sent.set_result(None)
            self._to_recorder -= 1
            self._changed.set()

    async def _segment(self, note: FrameNote, frame: Any) -> Any:
        """Returns a reference to what is in a frame; None if it goes no further."""
        generation = self._segmenter.generation
        try:
            note_ref, found = self._segmenter.handle.segment.options(num_returns=2).remote(frame, note.monotonic_ns)
            patience_s = ENGINE_BEGINS_S if self.engine is None else ENGINE_HANGS_S
            engine: EngineNote = await self._unless_stopped(self._segmenter.answer(note_ref, patience_s))
        except DEATHS:
            self.ledger.fail(note.frame_index, SEGMENTER_DIED)
            self._detach(self._unless_stopped(self._segmenter.try_restart(generation)))
            return None
        except asyncio.CancelledError:
            self.ledger.drop(note.frame_index, STOPPED)
            return None
        except (RayError, RoadmaskError) as error:
            _log.warning("camera %s: the engine failed: %s", self.camera, own_error(error))
            self.ledger.fail(note.frame_index, ENGINE)
            return None
        finally:
            self._in_engine -= 1
            self._changed.set()
        self._depth = 2 if engine.ahead else 1
        self.engine = engine
        self._gauges.age("queue", note.monotonic_ns, engine.started_ns)
        if engine.late:
            self.ledger.drop(note.frame_index, LATE)
            return None
        self._gauges.age("engine", note.monotonic_ns, engine.done_ns)
        if engine.failure is not None:
            self.ledger.fail(note.frame_index, ENGINE)
            return None
        return found

    def _look_at_reader(self) -> ReaderStatus:
        if self._reader is not None:
            self._status = self._reader.status()
        return self._status

    def _detach(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
