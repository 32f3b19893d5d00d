"""The parent of a decoding process: asks it for images, and kills it when it shows no sign of life."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from roadmask.streaming.frames import Frame
from roadmask.streaming.live.address import Address
from roadmask.streaming.live.counts import CountsFile
from roadmask.streaming.live.protocol import FRAMING, OPEN_TIMEOUT_S, WISH
from roadmask.streaming.live.reports import CameraState

STALLED_S = 1.0
"""A connected camera that gives no image for this long has stalled."""
SILENT_S = OPEN_TIMEOUT_S + 2.0
"""A decoder without a sign of life for this long hangs where its own timeouts do not reach it."""
START_S = 30.0
"""A new decoder may take this long to its first sign of life: machines are busy when much is started at once."""
_LOOK_S = 0.25
_SHORT_LIFE_S, _RESTART_MAX_S = 5.0, 4.0
"""A decoder that died sooner is started again after a pause that doubles, up to the longest."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameNote:
    """What travels beside a frame."""

    frame_index: int
    number: int
    """Count of the frames that left the decoder, from 1."""
    taken_ns: int
    """When it was taken, on the monotonic clock."""


@dataclass(frozen=True)
class ReaderStatus:
    """Where a camera is."""

    state: CameraState
    detail: str
    ended: bool
    """Whether no image will come any more."""
    restarts: int
    """How often the watchdog had to kill the decoder."""
    decoder_pid: int


class LiveReader:
    """Reads one camera in a process of its own, which is started again whenever it dies or hangs.

    Args:
        address: the camera.
        counts: path of its `CountsFile`, which exists.
        silent_s: seconds without a sign of life after which the decoder is killed.
    """

    def __init__(self, address: Address, counts: Path, *, silent_s: float = SILENT_S) -> None:
        self._address = address
        self._path = counts
        self._counts = CountsFile(counts)
        self._silent_s = silent_s
        self._changed = threading.Condition()
        self._image: tuple[FrameNote, Frame] | None = None
        self._asked = False
        self._limit_fps: float | None = None
        self._state, self._detail = CameraState.CONNECTING, ""
        self._ended = False
        self._closed = False
        self._restarts = -1
        self._process = self._start()
        self._started_ns = time.monotonic_ns()
        threading.Thread(target=self._watch, name=f"watchdog-{address.camera}", daemon=True).start()

    def next(self, timeout_s: float, limit_fps: float | None = None) -> tuple[FrameNote, Frame] | None:
        """Returns the newest image that was not handed on yet; None if none came in time or the camera ended.

        Args:
            timeout_s: how long to wait for it.
            limit_fps: how many a second are picked from here on, evenly; all if None.
        """
        with self._changed:
            self._limit_fps = limit_fps
            self._ask()
            self._changed.wait_for(lambda: self._image is not None or self._ended or self._closed, timeout_s)
            image, self._image = self._image, None
            return image

    def status(self) -> ReaderStatus:
        """Returns where the camera is now."""
        state, detail = self._state, self._detail
        if state is CameraState.LIVE:
            quiet_s = (time.monotonic_ns() - self._counts.read().image_ns) / 1e9
            if quiet_s > STALLED_S:
                state, detail = CameraState.STALLED, f"connected, but no image for {quiet_s:.1f} s"
        return ReaderStatus(state, detail, self._ended, self._restarts, self._process.pid)

    def close(self) -> None:
        """Ends the decoder."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._end(self._process)

    def _ask(self) -> None:
        if self._asked or self._image is not None or self._ended or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(WISH.pack(self._limit_fps or 0))
            self._asked = True
        except (OSError, ValueError):  # it died, or was ended; the watchdog starts another
            pass

    def _start(self) -> subprocess.Popen[bytes]:
        self._restarts += 1
        self._started_ns = time.monotonic_ns()
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "roadmask.streaming.live.decoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg prints addresses whole
            bufsize=0,
            env=environment,
        )
        asked = {"address": asdict(self._address), "counts": str(self._path)}
        if process.stdin is not None and process.stdout is not None:
            with suppress(OSError):  # it died already, which the watchdog sees
                process.stdin.write(json.dumps(asked).encode() + b"\n")
            name = f"reader-{self._address.camera}"
            threading.Thread(target=self._listen, args=(process, process.stdout), name=name, daemon=True).start()
        self._asked = False
        return process

    def _listen(self, process: subprocess.Popen[bytes], stream: BinaryIO) -> None:
        """Takes what one decoder says, until it is gone."""
        try:
            while True:
                header_bytes, pixel_bytes = FRAMING.unpack(_exactly(stream, FRAMING.size))
                header = json.loads(bytes(_exactly(stream, header_bytes)))
                pixels = _exactly(stream, pixel_bytes)
                with self._changed:
                    if process is not self._process or self._closed:
                        return
                    self._take(header, pixels)
                    self._changed.notify_all()
        except (EOFError, OSError, ValueError):
            return

    def _take(self, header: dict[str, Any], pixels: bytearray) -> None:
        match header["kind"]:
            case "state":
                self._state, self._detail = CameraState(header["state"]), header["detail"]
            case "end":
                self._ended = True
            case "image":
                image = np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 3)
                camera, epoch, index = self._address.camera, header["epoch"], header["frame_index"]
                frame = Frame(camera, epoch, index, header["unix_ns"], "unix", image)
                self._image = FrameNote(index, header["number"], header["taken_ns"]), frame
                self._asked = False

    def _watch(self) -> None:
        """Starts another decoder when this one died, or kills it where it hangs."""
        pause_s = _LOOK_S
        while not self._closed:
            time.sleep(_LOOK_S)
            if self._ended or self._closed:
                continue
            over = self._state in (CameraState.ENDED, CameraState.FAILED)  # it only waits to hand on what it holds
            beat_ns = self._counts.read().beat_ns
            since_ns, allowed_s = (
                (self._started_ns, START_S) if beat_ns < self._started_ns else (beat_ns, self._silent_s)
            )
            silent = not over and (time.monotonic_ns() - since_ns) / 1e9 > allowed_s
            if not silent and self._process.poll() is None:
                continue
            if over:
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()
                continue
            why = "gave no sign of life and was killed" if silent else "died"
            _log.warning("camera %s: its decoder %s; another one is started", self._address.camera, why)
            self._end(self._process)
            short = (time.monotonic_ns() - self._started_ns) / 1e9 < _SHORT_LIFE_S
            pause_s = min(2 * pause_s, _RESTART_MAX_S) if short else _LOOK_S
            with self._changed:
                self._state, self._detail = CameraState.RECONNECTING, f"the decoder {why}"
                self._changed.wait_for(lambda: self._closed, pause_s - _LOOK_S)
                if self._closed:
                    return
                try:
                    self._process = self._start()
                except OSError as error:  # no memory, too many processes: perhaps not for long
                    self._detail = f"no process could be started to decode it ({error.strerror or error})"
                    continue
                self._ask()  # somebody may be waiting for what the one before was asked for

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]  # a raw pipe has it
        if not count:
            raise EOFError
        view = view[count:]
    return data
