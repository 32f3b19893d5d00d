"""The process that decodes one camera, run as a module by `LiveReader`.

It reads one JSON line from its standard input (so that no credential stands in a list of processes), then a request for
each image that is wanted; it ends when its input does. It writes messages to its standard output: each is a JSON
header, preceded by its length and that of the pixels that follow.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from roadmask.streaming.frames import Frame
from roadmask.streaming.sources.live.address import Address
from roadmask.streaming.sources.live.counts import CountsFile
from roadmask.streaming.sources.live.decoder import LiveDecoder
from roadmask.streaming.sources.live.protocol import FRAMING, REQUEST, CameraState, FrameNote

_PIPE_BYTES = 2**20


class _Output:
    """Messages of several threads, written one after the other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, header: dict[str, Any], pixels: memoryview | bytes = b"") -> None:
        """Writes a message; ends the process if nobody reads any more."""
        text = json.dumps(header).encode()
        with self._lock:
            try:
                self._write(memoryview(FRAMING.pack(len(text), len(pixels)) + text))
                self._write(memoryview(pixels))
            except BrokenPipeError:
                os._exit(0)

    def _write(self, left: memoryview) -> None:
        while left:
            left = left[os.write(self._descriptor, left) :]

    def tell(self, state: CameraState, detail: str) -> None:
        """Reports the state of the camera."""
        self.send({"kind": "state", "state": state.value, "detail": detail})

    def image(self, note: FrameNote, frame: Frame) -> None:
        """Hands an image on."""
        height, width = frame.image_size
        header = {"epoch": frame.epoch, "unix_ns": frame.timestamp_ns, "height": height, "width": width}
        self.send({"kind": "image", "note": asdict(note)} | header, frame.image.reshape(-1).data)


class _Requests:
    """Requests for images. A thread of their own reads them, which notices at once when the parent is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._requests: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self) -> float | None:
        """Waits for the next request; returns the maximum number of images per second, or None for no limit."""
        return self._requests.get() or None

    def _listen(self) -> None:
        while len(request := self._stream.read(REQUEST.size)) == REQUEST.size:
            self._requests.put(*REQUEST.unpack(request))
        os._exit(0)  # FFmpeg may hang in the main thread


def main() -> None:
    """Decodes until the source ends or the parent is gone."""
    stdin, messages = sys.stdin.buffer, os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get into the messages
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(messages, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    asked = json.loads(stdin.readline())
    address = Address(**asked["address"])
    output = _Output(messages)
    requests = _Requests(stdin)
    path = Path(asked["counts"])
    with path.open("rb") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # the decoder before this one may still be dying: only one may count
        decoder = LiveDecoder(address, CountsFile(path), output.tell)
        reading = threading.Thread(target=_read, args=(decoder, output), daemon=True)
        reading.start()
        while True:
            decoder.limit(requests.wait())
            taken = None
            while taken is None and not decoder.ended:
                taken = decoder.take(0.5)
            taken = taken or decoder.take(0)
            if taken is None:
                break
            output.image(*taken)
        reading.join()
        output.send({"kind": "end"})
        requests.wait()  # until the parent has read it and closes our input


def _read(decoder: LiveDecoder, output: _Output) -> None:
    try:
        decoder.run()
    except BaseException as error:
        output.tell(CameraState.RECONNECTING, f"the decoder failed ({type(error).__name__})")
        os._exit(1)


if __name__ == "__main__":
    main()
