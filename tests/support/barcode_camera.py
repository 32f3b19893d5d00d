"""A camera that writes the time of capture into its images, and sends them as H.264 over UDP."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import av
import numpy as np

from support.live_feed import SIZE, draw_barcode


class BarcodeCamera:
    """Captures, encodes and sends until it is left. A context manager.

    Args:
        port: to send to, as MPEG-TS.
        fps: images a second.
    """

    def __init__(self, port: int, fps: int = 20) -> None:
        self._port = port
        self.fps = fps
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def _send(self) -> None:
        url = f"udp://127.0.0.1:{self._port}?pkt_size=1316"
        with av.open(url, "w", format="mpegts", options={"flush_packets": "1"}) as target:
            stream = target.add_stream("libx264", rate=self.fps)
            stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(self.fps // 2), "crf": "12"}
            stream.codec_context.time_base = Fraction(1, 1000)
            begun, first_ms = time.monotonic(), time.time_ns() // 1_000_000
            number = 0
            while not self._stopping.wait(max(begun + number / self.fps - time.monotonic(), 0)):
                captured_ms = time.time_ns() // 1_000_000
                canvas = np.full((*SIZE, 3), (50, 54, 60), np.uint8)
                canvas[:, number * 4 % SIZE[1] :][:, :3] = (110, 114, 120)
                draw_barcode(canvas, captured_ms)
                frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
                frame.pts, frame.time_base = captured_ms - first_ms, Fraction(1, 1000)
                target.mux(stream.encode(frame))
                number += 1

    def __enter__(self) -> BarcodeCamera:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
