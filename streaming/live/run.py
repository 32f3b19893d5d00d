"""A live run: every camera's processes, one engine, and who watches."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.streaming.live.actors import Actors
from roadmask.streaming.live.adaptation import RateControl, SizeControl
from roadmask.streaming.live.address import Address
from roadmask.streaming.live.audience import LiveAudience, Nobody
from roadmask.streaming.live.batching import EngineNote
from roadmask.streaming.live.conductor import Conductor
from roadmask.streaming.live.counts import CountsFile
from roadmask.streaming.live.ending import CameraEnd, RecorderSettings
from roadmask.streaming.live.reports import CameraState, LiveReport
from roadmask.streaming.live.revivable import DEATHS, Revivable, own_error
from roadmask.streaming.live.settings import LiveSettings
from roadmask.streaming.ray_actors import LogDrain, own_errors, ray_session
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.store import MaskStore, require_nothing

REPORT_S = 0.5
_log = logging.getLogger("roadmask")


@dataclass(frozen=True)
class LiveResult:
    """What became of a live run."""

    cameras: list[CameraEnd]
    interrupted: bool
    """It was told to stop."""

    @property
    def exit_code(self) -> int:
        """4 the store failed, 2 no camera ever could work, 130 stopped, 3 some frames failed, 0 otherwise."""
        if any(camera.problem is not None for camera in self.cameras):
            return 4
        if all(camera.state is CameraState.FAILED and not camera.ledger.captured for camera in self.cameras):
            return 2
        if self.interrupted:
            return 130
        broken = any(camera.ledger.failed or camera.state is CameraState.FAILED for camera in self.cameras)
        return 3 if broken else 0


class LiveRun:
    """Reads, segments, follows, stores and shows live cameras until they end or it is told to stop.

    Args:
        addresses: the cameras.
        settings: how.
        audience: gets images and reports.
        builds: build the segmenter, in a process of its own, at each size from the largest to the smallest; as the
            settings ask for if None.
        stop: set it to end the run after the frames that are on their way; from any thread or signal handler.
        show: draw images for the audience.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        settings: LiveSettings,
        audience: LiveAudience | None = None,
        *,
        builds: Sequence[Callable[[], Segmenter]] | None = None,
        stop: threading.Event | None = None,
        show: bool = False,
    ) -> None:
        self._addresses = list(addresses)
        self._settings = settings.with_threads()
        self._audience: LiveAudience = audience or Nobody()
        self._show = show
        self._builds = builds or [partial(build_segmenter, engine) for engine in self._settings.engines()]
        self._stop = stop or threading.Event()
        self.conductors: dict[str, Conductor] = {}
        """By camera, once the run has begun."""
        self.segmenter_pid: int | None = None
        self._info: SegmenterInfo | None = None
        self._rate = RateControl()
        self._size: SizeControl | None = None
        self._size_since_ns = 0
        self._store: MaskStore | None = None
        self._logs = LogDrain()
        self._began = time.monotonic()

    def run(self) -> LiveResult:
        """Runs to the end.

        Raises:
            EngineError: the engine cannot be built.
            StoreError: the store cannot be begun.
        """
        if self._settings.out is not None:
            require_nothing(self._settings.out)
        with ray_session(), own_errors(), tempfile.TemporaryDirectory(prefix="roadmask-live-") as folder:
            return asyncio.run(self._run(Path(folder)))

    async def _run(self, folder: Path) -> LiveResult:
        self._began = time.monotonic()
        with ExitStack() as opened:
            actors = opened.enter_context(Actors())
            actors.start(len(self._addresses))
            segmenter = Revivable(actors.segmenters, "segmenter", self._open_segmenter)
            opened.callback(segmenter.kill)
            try:
                await self._open_segmenter(segmenter.handle)
            except (*DEATHS, RoadmaskError) as error:
                raise own_error(error) from None
            self._store = self._begin_store()
            if self._store is not None:
                opened.enter_context(self._store)
            try:
                return await self._conduct(folder, segmenter, actors)
            finally:
                await self._pass_on_logs(segmenter)

    async def _conduct(self, folder: Path, segmenter: Revivable, actors: Actors) -> LiveResult:
        assert self._info is not None  # noqa: S101 - the segmenter is open
        keep = None if self._settings.keep is None else self._settings.keep.shared_by(len(self._addresses))
        settings = RecorderSettings(
            self._settings.config,
            self._info.class_names,
            self._settings.out,
            self._settings.floor_bytes,
            keep,
            self._show,
        )
        for address in self._addresses:
            counts = CountsFile(folder / f"{address.camera}.counts", create=True)
            self.conductors[address.camera] = Conductor(address, counts, segmenter, actors, settings, self._audience)
        conductors = list(self.conductors.values())
        await asyncio.gather(*(conductor.open() for conductor in conductors))
        actors.refill()
        reporting = asyncio.create_task(self._report_on(segmenter))
        stopping = asyncio.create_task(self._watch_stop(conductors))
        running = [asyncio.create_task(conductor.run()) for conductor in conductors]
        try:
            await asyncio.gather(*running)
        finally:
            for conductor in conductors:  # where one of them failed the others end, too, and then all are closed
                conductor.stop()
            await asyncio.gather(*running, return_exceptions=True)
            stopping.cancel()
            reporting.cancel()
            await asyncio.gather(stopping, reporting, return_exceptions=True)
            ends = await asyncio.gather(*(conductor.close() for conductor in conductors))
        return LiveResult(list(ends), self._stop.is_set())

    async def _watch_stop(self, conductors: Sequence[Conductor]) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(0.05)
        for conductor in conductors:
            conductor.stop()

    async def _report_on(self, segmenter: Revivable) -> None:
        while True:
            try:
                report = await self.report()
                self._audience.report(report)
                if self._settings.adapt:
                    await self._adapt(report, segmenter)
                await self._pass_on_logs(segmenter)
            except Exception:  # whatever it is, cameras go on
                _log.exception("the run could not report")
            await asyncio.sleep(REPORT_S)

    async def _adapt(self, report: LiveReport, segmenter: Revivable) -> None:
        """Changes the size of the network's input, or the rate of images, as the load asks for."""
        engine, now_s = self._engine(), time.monotonic()
        known = engine is not None and engine.begun_ns >= self._size_since_ns
        image_ms = engine.image_ms if engine is not None and known else None
        sent = [camera.captured_fps for camera in report.cameras]
        if self._size is not None and self._size.update(now_s, sent, image_ms):
            with suppress(*DEATHS):  # its successor is opened with the present size
                await segmenter.handle.use.remote(self._size.level)
            self._size_since_ns = time.monotonic_ns()
        elif self._rate.update(now_s, sent, image_ms):
            for each in self.conductors.values():
                each.limit_fps = self._rate.limit_fps
        else:
            return
        change = {"limit_fps": self._rate.limit_fps, "input_size": self._size_name(), "image_ms": image_ms}
        _log.debug("the load has changed: %s", change)
        if self._store is not None:  # in a thread that nobody waits for: a disk may hang
            frames = {camera.camera: camera.captured for camera in report.cameras}
            asyncio.get_running_loop().run_in_executor(None, self._note, self._store, change | {"frames": frames})

    @staticmethod
    def _note(store: MaskStore, change: dict[str, Any]) -> None:
        try:
            store.note("adapted", **change)
        except StoreError as error:
            _log.warning("a change with the load is missing in the store's provenance: %s", error)

    def _size_name(self) -> str | None:
        sizes = ("full", *self._settings.busy_input_sizes)
        return None if self._size is None else sizes[self._size.level]

    def _engine(self) -> EngineNote | None:
        """Returns what the engine told last, of whichever camera."""
        told = [each.engine for each in self.conductors.values() if each.engine is not None]
        return max(told, key=lambda note: note.done_ns, default=None)

    async def report(self) -> LiveReport:
        """Returns the state of the run."""
        engine = self._engine()
        conductors = list(self.conductors.values())
        cameras = await asyncio.gather(*(conductor.report(self._rate.changes) for conductor in conductors))
        out = self._settings.out
        storing = out is not None and any(conductor.storing for conductor in conductors)
        problems = [conductor.store_detail for conductor in conductors if conductor.store_detail]
        where = "nothing is stored: no --out was given" if out is None else f"storing to {out.name}"
        return LiveReport(
            time.time_ns(),
            time.monotonic() - self._began,
            tuple(cameras),
            storing,
            problems[0] if problems else where,
            None if engine is None else engine.budget_ms,
            self._size_name(),
            0 if self._size is None else self._size.changes,
        )

    async def _open_segmenter(self, handle: Any) -> None:
        level = 0 if self._size is None else self._size.level
        self._info, self.segmenter_pid, costs_ms = await handle.open.remote(
            self._builds, len(self._addresses), self._settings.budget_ms, level
        )
        if self._size is None and len(costs_ms) > 1:
            self._size = SizeControl(costs_ms, self._settings.busy_fps)

    def _begin_store(self) -> MaskStore | None:
        out, config = self._settings.out, self._settings.config
        if out is None or self._info is None:
            return None
        engine = dataclasses.asdict(self._info)
        del engine["class_names"]  # the store has them at its top
        return MaskStore.create(
            out,
            class_names=self._info.class_names,
            engine=engine,
            sources={each.camera: {"kind": each.kind, "address": each.shown} for each in self._addresses},
            config=config.describe(),
            command=self._settings.command,
        )

    async def _pass_on_logs(self, segmenter: Revivable) -> None:
        handles = [segmenter.handle, *(handle for each in self.conductors.values() for handle in each.handles)]
        for record in await asyncio.to_thread(self._logs.records, handles):
            record.msg, record.args = self._redacted(record.getMessage()), None
            _log.handle(record)

    def _redacted(self, text: str) -> str:
        for address in self._addresses:
            text = address.redact(text)
        return text
