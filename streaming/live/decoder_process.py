"""The process that decodes one camera: `python -m roadmask.streaming.live.decoder_process`, started by `LiveReader`.

It reads one JSON line from its standard input (so that no credential stands in a list of processes), then a wish for
each image that is wanted; it ends when its input does. It writes messages to its standard output, each a header in
JSON, framed by its length and that of the pixels that follow.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from roadmask.streaming.live.address import Address
from roadmask.streaming.live.counts import CountsFile
from roadmask.streaming.live.decoder import LiveDecoder, LiveImageAt
from roadmask.streaming.live.protocol import FRAMING, WISH
from roadmask.streaming.live.reports import CameraState

_PIPE_BYTES = 2**20


class _Out:
    """Messages of several threads, one after the other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, header: dict[str, Any], pixels: memoryview | bytes = b"") -> None:
        """Writes a message; ends the process where nobody reads any more."""
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
        """Says where the camera is."""
        self.send({"kind": "state", "state": state.value, "detail": detail})

    def image(self, image: LiveImageAt) -> None:
        """Hands an image on."""
        height, width, _ = image.image.shape
        header = {
            "kind": "image",
            "frame_index": image.frame_index,
            "number": image.number,
            "epoch": image.epoch,
            "unix_ns": image.unix_ns,
            "taken_ns": image.taken_ns,
            "height": height,
            "width": width,
        }
        self.send(header, image.image.reshape(-1).data)


class _Wishes:
    """Images that were asked for. Reading them in a thread of its own tells at once when the parent is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._wanted: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self) -> float | None:
        """Waits for the next wish; returns how many images a second are offered at most."""
        return self._wanted.get() or None

    def _listen(self) -> None:
        while len(wish := self._stream.read(WISH.size)) == WISH.size:
            self._wanted.put(*WISH.unpack(wish))
        os._exit(0)  # FFmpeg may hang in the main thread


def main() -> None:
    """Decodes until the source ends or the parent goes."""
    stdin, messages = sys.stdin.buffer, os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not get into the messages
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(messages, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    asked = json.loads(stdin.readline())
    address = Address(**asked["address"])
    out = _Out(messages)
    wishes = _Wishes(stdin)
    path = Path(asked["counts"])
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a decoder before this one may still be dying: one counts at a time
        decoder = LiveDecoder(address, CountsFile(path), out.tell)
        reading = threading.Thread(target=_read, args=(decoder, out), daemon=True)
        reading.start()
        while True:
            decoder.limit(wishes.wait())
            image = None
            while image is None and not decoder.ended:
                image = decoder.take(0.5)
            if image is None:
                image = decoder.take(0)
            if image is None:
                break
            out.image(image)
        reading.join()
        out.send({"kind": "end"})
        wishes.wait()  # until the parent has read it and closes our input


def _read(decoder: LiveDecoder, out: _Out) -> None:
    try:
        decoder.run()
    except BaseException as error:
        out.tell(CameraState.RECONNECTING, f"the decoder broke ({type(error).__name__})")
        os._exit(1)


if __name__ == "__main__":
    main()
