"""The page of a recorded store: the live page, whose images come when they are asked for.

The page reads `/api/drive` once: the frames and tracks of all cameras on one axis of time. It then asks for images with
the addresses and in the form of those that the live page keeps, `/api/history/<key>`. A frame's key is the first key of
its camera plus its position.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler
from numpy.typing import NDArray

from roadmask.engines.errors import InputError, StoreError
from roadmask.streaming.page import DEFAULT_ADDRESS, PageAddress, PageLimits
from roadmask.streaming.page.feed import Feed
from roadmask.streaming.page.server import STATIC, PageServer
from roadmask.streaming.page.wire import image_message, to_json
from roadmask.streaming.store import Drive, open_drive
from roadmask.viewing.drawing import CameraDrawer
from roadmask.viewing.images import CameraImages, ImageState
from roadmask.viewing.timeline import camera_fields, chosen_tracks, place_cameras

_CACHE_BYTES = 32 * 2**20
"""Maximum size of the drawn images that are kept, bytes."""
_DRAWING_THREADS = 2


class RecordedFeed(Feed):
    """A stored drive as what the page shows. Thread-safe.

    Args:
        drive: the drive.
        sources: camera -> its source as the user typed it; the others are searched for.
        folders: folders that are searched for recordings.

    Raises:
        InputError: the drive has no frames, or no camera that a source is given for.
        StoreError: the store cannot be read.
    """

    def __init__(
        self, drive: Drive, sources: Mapping[str, Sequence[str]], folders: Sequence[Path], limits: PageLimits
    ) -> None:
        super().__init__(limits)
        cameras = {name: camera for name, camera in drive.items() if len(camera)}
        if not cameras:
            raise InputError(f"expected frames in {drive.path}, found none: nothing was committed to it yet.")
        if unknown := sorted(set(sources) - set(cameras)):
            raise InputError(f"{drive.path} has no camera {unknown[0]!r}: it has {', '.join(cameras)}.")
        stored = drive.attributes.get("sources", {})
        times = place_cameras(cameras)
        self._at_ms: dict[str, NDArray[np.int64]] = {}
        self._wall_ms: dict[str, int | None] = {}
        self._fields: dict[str, dict[str, Any]] = {}
        self._drawers: list[CameraDrawer] = []
        self._first_keys: list[int] = []
        key = 1
        for name, camera in cameras.items():
            frames = (
                np.concatenate([epoch.frame_index for epoch in camera.epochs]),
                np.concatenate([epoch.timestamp_ns for epoch in camera.epochs]),
            )
            images = CameraImages(name, stored.get(name, {}), sources.get(name, ()), folders, frames)
            self._fields[name] = camera_fields(camera, times[name], key)
            self._at_ms[name], self._wall_ms[name] = times[name].at_ms, times[name].wall_ms
            self._drawers.append(CameraDrawer(camera, images))
            self._first_keys.append(key)
            key += len(camera)
        self._end_key = key
        self._drive_json = to_json(_drive_fields(drive, self._fields)).encode()
        self._cache: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._cached_bytes = 0
        self._chosen = lru_cache(maxsize=64)(self._choose)

    @property
    def images(self) -> dict[str, CameraImages]:
        """The images of each camera."""
        return {drawer.name: drawer.images for drawer in self._drawers}

    def drive_json(self) -> bytes:
        """Returns what the page needs to know of the drive, as JSON."""
        return self._drive_json

    def status(self) -> str:
        """Returns the message that tells a page where the images of each camera come from."""
        states = {name: images.state for name, images in self.images.items()}
        fields = {name: {"kind": state.kind, "detail": state.detail} for name, state in states.items()}
        return to_json({"type": "status", "at": self.now_ms(), "images": fields})

    def message(self, key: int, labels: frozenset[str] | None, seconds_min: float) -> bytes | None:
        """Returns a frame as the message that the page reads; None if there is no such key.

        Args:
            key: first key of the camera plus position.
            labels: names of the only classes to draw; None for all.
            seconds_min: least duration of the tracks to draw in seconds.

        Raises:
            StoreError: the masks of the frame cannot be read back.
        """
        if not 1 <= key < self._end_key:
            return None
        number = bisect_right(self._first_keys, key) - 1
        drawer, position = self._drawers[number], key - self._first_keys[number]
        wanted = (key, labels, seconds_min, drawer.images.state.kind)
        with self._lock:
            if wanted in self._cache:
                self._cache.move_to_end(wanted)
                return self._cache[wanted]
        is_filtered = labels is not None or seconds_min > 0
        image = drawer.draw(position, self._chosen(drawer.name, labels, seconds_min) if is_filtered else None)
        at_ms = float(self._at_ms[drawer.name][position])
        wall_ms = self._wall_ms[drawer.name]
        message = image_message(image, key, at_ms, at_ms, None if wall_ms is None else wall_ms + at_ms)
        self._keep(wanted, message)
        return message

    def _choose(self, camera: str, labels: frozenset[str] | None, seconds_min: float) -> NDArray[np.int64]:
        return chosen_tracks(self._fields[camera]["tracks"], labels, seconds_min)

    def _keep(self, wanted: tuple[object, ...], message: bytes) -> None:
        with self._lock:
            self._cached_bytes += len(message) - len(self._cache.pop(wanted, b""))
            self._cache[wanted] = message
            while self._cached_bytes > _CACHE_BYTES:
                self._cached_bytes -= len(self._cache.popitem(last=False)[1])


class RecordedPage(PageServer):
    """Serves the page of a recorded store.

    Example::

        with RecordedPage("drive.zarr") as page:
            print(page.url)
            input("Press Enter to end.")

    Args:
        drive: the store, or its path; what is committed when it is opened is shown.
        sources: camera -> its recording, a path or a list of chapters. The recording of a camera that is not named is
            searched for by name and hash in the current folder and beside the store; without it, masks are drawn on
            grey.
        address: where to listen.
        token: token that browsers must send; if None, one is generated, or none is needed at a loopback address.
        public_url: where people open the page if a reverse proxy stands before it, such as
            `https://example.org/drives/`; the page then always needs a token.

    Raises:
        InputError: the store has no frames, or no camera that a source is given for.
        PageError: an address cannot be read, the token cannot be used, or the host is unknown.
        StoreError: the store cannot be read.
    """

    def __init__(
        self,
        drive: Drive | Path | str,
        sources: Mapping[str, str | Path | Sequence[str | Path]] | None = None,
        *,
        address: PageAddress | str = DEFAULT_ADDRESS,
        token: str | None = None,
        public_url: str | None = None,
    ) -> None:
        drive = drive if isinstance(drive, Drive) else open_drive(drive)
        given = {
            name: (str(specs),) if isinstance(specs, str | Path) else tuple(map(str, specs))
            for name, specs in (sources or {}).items()
        }
        self._recorded = RecordedFeed(drive, given, (Path(), drive.path.absolute().parent), PageLimits())
        super().__init__(self._recorded, address, token, public_url)
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Starts to listen and to search for images, and returns when the page can be opened.

        Raises:
            PageError: the port is in use, or the address does not belong to this machine.
        """
        self._pool = ThreadPoolExecutor(_DRAWING_THREADS, thread_name_prefix="draw")
        super().start()
        for images in self._recorded.images.values():
            images.start()

    def stop(self) -> None:
        """Disconnects every browser, closes the port and the recordings; does nothing if the page is not served."""
        super().stop()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
            for images in self._recorded.images.values():
                images.close()

    def image_states(self, seconds: float | None = None) -> dict[str, ImageState]:
        """Returns where the images of each camera come from, once that is known, or after some seconds for each."""
        return {name: images.wait(seconds) for name, images in self._recorded.images.items()}

    def _routes(self) -> dict[str, Handler]:
        return {"/api/drive": self._api_drive}

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        text = (STATIC / "index.html").read_text(encoding="utf-8")
        text = text.replace('data-page="live"', 'data-page="recorded"').replace("static/main.js", "static/recorded.js")
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-cache"})

    async def _api_drive(self, _request: web.Request) -> web.Response:
        response = web.Response(body=self._recorded.drive_json(), content_type="application/json")
        response.enable_compression()
        return response

    async def _api_image(self, request: web.Request) -> web.Response:
        labels = request.query.get("classes")
        try:
            seconds_min = float(request.query.get("seconds", "0"))
        except ValueError:
            raise web.HTTPBadRequest(text="Expected a number of seconds.") from None
        wanted = (None if labels is None else frozenset(labels.split(",")), seconds_min)
        drawing = asyncio.get_running_loop().run_in_executor(
            self._pool, self._recorded.message, int(request.match_info["key"]), *wanted
        )
        try:
            message = await drawing
        except StoreError as error:
            raise web.HTTPInternalServerError(text=str(error)) from error
        if message is None:
            raise web.HTTPNotFound(text="The store has no such frame.")
        return web.Response(body=message, content_type="application/octet-stream")


def _drive_fields(drive: Drive, cameras: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    engine = drive.attributes.get("engine", {})
    return {
        "name": drive.path.absolute().name,
        "engine": {key: engine.get(key) for key in ("engine", "precision", "weights")},
        "version": drive.attributes.get("roadmask_version"),
        "cameras": cameras,
    }
