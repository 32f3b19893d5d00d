"""A live run: every camera's processes, one engine, and who watches."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from roadmask.engines import Segmenter, SegmenterInfo
from roadmask.engines.errors import RoadmaskError, StoreError
from roadmask.streaming.live.actors import LiveActors
from roadmask.streaming.live.adaptation import RateControl, SizeControl
from roadmask.streaming.live.batching import EngineNote
from roadmask.streaming.live.coordinator import CameraCoordinator, CameraEnd
from roadmask.streaming.live.reports import Callbacks, CameraState, LiveImage, LiveReport, LiveViewer
from roadmask.streaming.live.restart import DEATHS, RestartableActor, own_error
from roadmask.streaming.live.settings import LiveSettings, MakeSinks, RecorderSettings
from roadmask.streaming.ray_actors import LogDrain, own_errors, ray_session
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.sources.live.address import Address, parse_live_sources
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.store import MaskStore, require_nothing

REPORT_S = 0.5
"""Seconds between reports."""
_log = logging.getLogger("roadmask")


@dataclass(frozen=True)
class LiveResult:
    """What became of a live run."""

    cameras: list[CameraEnd]
    """The cameras, in the order in which they were named."""
    interrupted: bool
    """Whether the run was told to stop."""

    @property
    def exit_code(self) -> int:
        """4 the store failed, 2 no camera ever could work, 130 stopped, 3 some frames failed, 0 otherwise."""
        if any(camera.problem is not None for camera in self.cameras):
            return 4
        hopeless = (each.state is CameraState.FAILED and not each.ledger.captured for each in self.cameras)
        if self.cameras and all(hopeless):
            return 2
        if self.interrupted:
            return 130
        broken = any(camera.ledger.failed or camera.state is CameraState.FAILED for camera in self.cameras)
        return 3 if broken else 0


def run_live(
    cameras: Mapping[str, str] | Sequence[str],
    out: str | Path | None = None,
    *,
    settings: LiveSettings | None = None,
    on_report: Callable[[LiveReport], None] | None = None,
    on_image: Callable[[LiveImage], None] | None = None,
    page: LiveViewer | None = None,
    sinks: MakeSinks | None = None,
    stop: threading.Event | None = None,
    stop_at_once: threading.Event | None = None,
) -> LiveResult:
    """Segments, tracks, shows and stores live cameras until they end or the run is told to stop.

    Example::

        run_live({"front": "rtsp://camera.local/stream"}, out="drive.zarr", on_report=print)

    Args:
        cameras: camera name -> source: `rtsp://`, `http://` (MJPEG or MPEG-TS), `udp://HOST:PORT`, `/dev/video0` or
            `replay:clip.mp4`. Or sources as they are typed on the command line, `[NAME=]SOURCE`.
        out: store to write, which must not exist; None to watch only.
        settings: engine, tracker, latency budget, how much is kept; the defaults if None.
        on_report: called twice a second with the state of the run, from the run's thread; must return at once.
        on_image: called with each image with its masks drawn in, as JPEG; must return at once.
        page: gets reports and images, too, and says how old images were when people saw them; usually a `LivePage`.
        sinks: makes further sinks of a camera, whose name it is given, in the process that records the camera.
        stop: set it, from any thread or signal handler, to end the run after the frames that are on their way.
        stop_at_once: set it after `stop` to drop the frames that the engine has, instead of waiting for them.

    Returns:
        What became of each camera, with every captured frame accounted for.

    Raises:
        InputError: a camera's name or source cannot be used.
        SourceError: an address is not one of a live camera.
        EngineError: the engine cannot be built.
        StoreError: the store cannot be created.
    """
    typed = [f"{name}={source}" for name, source in cameras.items()] if isinstance(cameras, Mapping) else cameras
    viewer = Callbacks(on_report, on_image, page)
    show = page is not None or on_image is not None
    addresses = parse_live_sources(typed)
    run = LiveRun(addresses, out, settings, viewer, show=show, sinks=sinks, stop=stop, stop_at_once=stop_at_once)
    return run.run()


class LiveRun:
    """A live run whose parts can be looked at; `run_live` is the way to start one.

    Args:
        addresses: the cameras.
        out, settings, sinks, stop, stop_at_once: as for `run_live`.
        viewer: gets images and reports.
        builds: build the segmenter, in a process of its own, at each network input size from the largest to the
            smallest; as the settings say if None.
        show: draw images for the viewer.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        out: str | Path | None = None,
        settings: LiveSettings | None = None,
        viewer: LiveViewer | None = None,
        *,
        builds: Sequence[Callable[[], Segmenter]] | None = None,
        show: bool = False,
        sinks: MakeSinks | None = None,
        stop: threading.Event | None = None,
        stop_at_once: threading.Event | None = None,
    ) -> None:
        self._addresses = list(addresses)
        self._out = None if out is None else Path(out)
        self._settings = (settings or LiveSettings()).with_threads()
        self._viewer: LiveViewer = viewer or Callbacks()
        self._builds = builds or [partial(build_segmenter, engine) for engine in self._settings.engines()]
        self._show = show
        self._sinks = sinks
        self._stop = stop or threading.Event()
        self._at_once = stop_at_once or threading.Event()
        self.coordinators: dict[str, CameraCoordinator] = {}
        """Coordinators by camera, once the run has started."""
        self.segmenter_pid: int | None = None
        """Id of the segmenter's process; None before it is open."""
        self._info: SegmenterInfo | None = None
        self._rate = RateControl()
        self._size: SizeControl | None = None
        self._size_since_ns = 0
        self._store: MaskStore | None = None
        self._logs = LogDrain()
        self._started_at = time.monotonic()

    def run(self) -> LiveResult:
        """Runs to the end.

        Raises:
            EngineError: the engine cannot be built.
            StoreError: the store cannot be created.
        """
        if self._out is not None:
            require_nothing(self._out)
        with ray_session(), own_errors(), tempfile.TemporaryDirectory(prefix="roadmask-live-") as folder:
            return asyncio.run(self._run(Path(folder)))

    async def _run(self, folder: Path) -> LiveResult:
        self._started_at = time.monotonic()
        with ExitStack() as opened:
            actors = opened.enter_context(LiveActors())
            actors.start(len(self._addresses))
            segmenter = RestartableActor(actors.segmenters, "segmenter", self._open_segmenter)
            opened.callback(segmenter.kill)
            opening = asyncio.create_task(self._open_segmenter(segmenter.handle))
            stopping = asyncio.create_task(self._watch_stop(opening))
            opened.callback(stopping.cancel)
            try:
                await opening
            except asyncio.CancelledError:
                return LiveResult([], interrupted=True)
            except (*DEATHS, RoadmaskError) as error:
                raise own_error(error) from None
            self._store = self._create_store()
            if self._store is not None:
                opened.enter_context(self._store)
            try:
                result = await self._coordinate(folder, segmenter, actors)
            finally:
                await self._pass_on_logs(segmenter)
            if self._store is not None and result.exit_code == 2:
                self._store.discard_empty()
            return result

    async def _coordinate(self, folder: Path, segmenter: RestartableActor, actors: LiveActors) -> LiveResult:
        settings = self._recorder_settings()
        for address in self._addresses:
            counts = CountsFile(folder / f"{address.camera}.counts", create=True)
            camera = CameraCoordinator(address, counts, segmenter, actors, settings, self._viewer)
            self.coordinators[address.camera] = camera
        cameras = list(self.coordinators.values())
        await asyncio.gather(*(camera.open() for camera in cameras))
        actors.refill()
        reporting = asyncio.create_task(self._report_on(segmenter))
        running = [asyncio.create_task(camera.run()) for camera in cameras]
        try:
            await asyncio.gather(*running)
        finally:
            for camera in cameras:  # if one of them failed the others end, too, and then all are closed
                camera.stop()
            await asyncio.gather(*running, return_exceptions=True)
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
            ends = await asyncio.gather(*(camera.close() for camera in cameras))
        return LiveResult(list(ends), self._stop.is_set())

    def _recorder_settings(self) -> RecorderSettings:
        assert self._info is not None  # noqa: S101 - the segmenter is open
        settings, retention = self._settings, self._settings.retention
        if retention is not None:
            retention = retention.shared_by(len(self._addresses))
        names = self._info.class_names
        return RecorderSettings(
            settings.config, names, self._out, settings.floor_bytes, retention, self._show, self._sinks
        )

    async def _watch_stop(self, opening: asyncio.Task[None]) -> None:
        while True:
            if self._stop.is_set():
                opening.cancel()  # to build an engine takes minutes at times
                for camera in self.coordinators.values():
                    camera.stop(at_once=self._at_once.is_set())
            await asyncio.sleep(0.05)

    async def _report_on(self, segmenter: RestartableActor) -> None:
        while True:
            try:
                report = await self.report()
                self._viewer.report(report)
                if self._settings.adapt:
                    await self._adapt(report, segmenter)
                await self._pass_on_logs(segmenter)
            except Exception:  # whatever it is, cameras go on
                _log.exception("the run could not report")
            await asyncio.sleep(REPORT_S)

    async def _adapt(self, report: LiveReport, segmenter: RestartableActor) -> None:
        """Changes the network input size, or the rate of images, as the load asks for."""
        engine, now_s = self._engine(), time.monotonic()
        known = engine is not None and engine.started_ns >= self._size_since_ns
        image_ms = engine.image_ms if engine is not None and known else None
        sent = [camera.captured_fps for camera in report.cameras]
        if self._size is not None and self._size.update(now_s, sent, image_ms):
            with suppress(*DEATHS):  # its successor is opened with the present size
                await segmenter.handle.use.remote(self._size.level)
            self._size_since_ns = time.monotonic_ns()
        elif self._rate.update(now_s, sent, image_ms):
            for each in self.coordinators.values():
                each.limit_fps = self._rate.limit_fps
        else:
            return
        change = {"limit_fps": self._rate.limit_fps, "input_size": self._size_name(), "image_ms": image_ms}
        _log.debug("the load has changed: %s", change)
        if self._store is not None:  # in a thread that nobody waits for: a disk may hang
            frames = {camera.camera: camera.ledger.captured for camera in report.cameras}
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
        """Returns what the engine said last, of whichever camera."""
        notes = [each.engine for each in self.coordinators.values() if each.engine is not None]
        return max(notes, key=lambda note: note.done_ns, default=None)

    async def report(self) -> LiveReport:
        """Returns the state of the run."""
        engine = self._engine()
        coordinators = list(self.coordinators.values())
        cameras = await asyncio.gather(*(each.report(self._rate.changes) for each in coordinators))
        out = self._out
        storing = out is not None and any(each.recorder.last.storing for each in coordinators)
        problems = [detail for each in coordinators if (detail := each.recorder.last.store_detail)]
        where = "nothing is stored: no --out was given" if out is None else f"storing to {out.name}"
        return LiveReport(
            time.time_ns(),
            time.monotonic() - self._started_at,
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

    def _create_store(self) -> MaskStore | None:
        config = self._settings.config
        if self._out is None or self._info is None:
            return None
        engine = dataclasses.asdict(self._info)
        del engine["class_names"]  # the store has them at its top
        return MaskStore.create(
            self._out,
            class_names=self._info.class_names,
            engine=engine,
            sources={each.camera: {"kind": each.kind, "address": each.shown} for each in self._addresses},
            config=config.describe(),
            command=self._settings.command,
        )

    async def _pass_on_logs(self, segmenter: RestartableActor) -> None:
        handles = [segmenter.handle, *(each.recorder.actor.handle for each in self.coordinators.values())]
        for record in await asyncio.to_thread(self._logs.records, handles):
            record.msg, record.args = self._redacted(record.getMessage()), None
            _log.handle(record)

    def _redacted(self, text: str) -> str:
        for address in self._addresses:
            text = address.redact(text)
        return text
