"""The parent of a decoder process: requests images from it, and kills it when it shows no sign of life."""

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
from roadmask.streaming.sources.live.address import Address
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.protocol import FRAMING, OPEN_TIMEOUT_S, REQUEST, CameraState, FrameNote

STALLED_S = 1.0
"""Seconds without an image after which a connected camera has stalled."""
SILENT_S = OPEN_TIMEOUT_S + 2.0
"""Seconds without a sign of life after which a decoder hangs where its own timeouts do not reach it."""
START_S = 90.0
"""Seconds that a new decoder may take to its first sign of life: machines are busy when much starts at once."""
_LOOK_S = 0.25
_END_S = 10.0
"""Seconds to wait for the end of a decoder that was killed: the kernel may hold it, as for a device that hangs."""
_SHORT_LIFE_S, _RESTART_MAX_S = 5.0, 4.0
"""A decoder that lived for less than the first is started again after a pause that doubles, up to the second."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReaderStatus:
    """The state of a camera, as its reader knows it."""

    state: CameraState
    """The state of the camera."""
    detail: str
    """One sentence for people that says why; empty where the state says it all."""
    ended: bool
    """Whether no more images will come."""
    restarts: int
    """How often the decoder process was started again."""
    decoder_pid: int
    """Process id of the decoder."""


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
            limit_fps: maximum number of images per second from now on, evenly spaced; None means no limit.
        """
        with self._changed:
            self._limit_fps = limit_fps
            self._ask()
            self._changed.wait_for(lambda: self._image is not None or self._ended or self._closed, timeout_s)
            image, self._image = self._image, None
            return image

    def status(self) -> ReaderStatus:
        """Returns the state of the camera."""
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
            self._process.stdin.write(REQUEST.pack(self._limit_fps or 0))
            self._asked = True
        except (OSError, ValueError):  # it died or was ended; the watchdog starts another
            pass

    def _start(self) -> subprocess.Popen[bytes]:
        self._restarts += 1
        self._started_ns = time.monotonic_ns()
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "roadmask.streaming.sources.live.decoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg prints whole addresses
            bufsize=0,
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal is for this process alone
        )
        asked = {"address": asdict(self._address), "counts": str(self._path)}
        if process.stdin is not None and process.stdout is not None:
            with suppress(OSError):  # it died already; the watchdog will see it
                process.stdin.write(json.dumps(asked).encode() + b"\n")
            name = f"reader-{self._address.camera}"
            threading.Thread(target=self._listen, args=(process, process.stdout), name=name, daemon=True).start()
        self._asked = False
        return process

    def _listen(self, process: subprocess.Popen[bytes], stream: BinaryIO) -> None:
        """Takes the messages of one decoder until it is gone."""
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
        finally:
            stream.close()

    def _take(self, header: dict[str, Any], pixels: bytearray) -> None:
        match header["kind"]:
            case "state":
                self._state, self._detail = CameraState(header["state"]), header["detail"]
            case "end":
                self._ended = True
            case "image":
                image = np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 3)
                note, camera = FrameNote(**header["note"]), self._address.camera
                epoch, unix_ns, index = header["epoch"], header["unix_ns"], note.frame_index
                self._image = note, Frame(camera, epoch, index, unix_ns, "unix", image, note.monotonic_ns)
                self._asked = False

    def _watch(self) -> None:
        """Starts another decoder when this one died; kills one that hangs."""
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
            why = "showed no sign of life and was killed" if silent else "died"
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
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
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
