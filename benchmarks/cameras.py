"""Real camera servers and senders, and ways to break them."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

SYSTEM_PYTHON = "/usr/bin/python3"


def free_port() -> int:
    """Returns a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shrunk(clip: Path, out: Path, frames: int = 50) -> Path:
    """Writes the first frames of a clip at half its size; returns where."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        video = source.streams.video[0]
        stream = target.add_stream("libx264", rate=video.average_rate or 25, options={"g": "10", "bf": "0"})
        stream.codec_context.time_base = 1 / Fraction(video.average_rate or 25)
        stream.width, stream.height = video.width // 4 * 2, video.height // 4 * 2
        for number, frame in enumerate(source.decode(video)):
            if number == frames:
                break
            small = frame.reformat(stream.width, stream.height, "yuv420p")
            small.pts, small.time_base = number, 1 / Fraction(video.average_rate or 25)
            target.mux(stream.encode(small))
        target.mux(stream.encode(None))
    return out


class RtspServer:
    """GStreamer's RTSP server in a process of its own.

    Args:
        clip: H.264 or H.265 in MP4.
        port: to listen on; a free one if None.
        login: user and password that it asks for.
        udp_only: refuse TCP with status 461.
    """

    def __init__(
        self, clip: Path, port: int | None = None, login: tuple[str, str] | None = None, *, udp_only: bool = False
    ) -> None:
        self.port = port or free_port()
        script = Path(__file__).with_name("rtsp_server.py")
        with av.open(str(clip)) as container:
            codec = {"hevc": "h265"}.get(container.streams.video[0].codec_context.name, "h264")
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [SYSTEM_PYTHON, str(script), str(self.port), str(clip), codec, *(login or ("", "")), "udp" * udp_only],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self._process.stdout is None or self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the RTSP server did not start: are GStreamer's packages of .ci/apt.txt installed?")

    @property
    def url(self) -> str:
        """Where it serves, without a login."""
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def freeze(self) -> None:
        """Stops it without closing anything: a camera that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kills it, as a power cut would."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Line = Literal["through", "down", "garbage"]


class Wire:
    """A TCP line to a server that can be cut or spoiled.

    `down` swallows everything and accepts nobody, as a pulled cable does; `garbage` replaces what the server sends by
    random bytes.
    """

    def __init__(self, target_port: int) -> None:
        self.line: Line = "through"
        self._target = target_port
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Ends the line."""
        self._closed = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        while self.line == "down" and not self._closed:
            time.sleep(0.05)
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
        self._pump(far, near, True)

    def _pump(self, source: socket.socket, target: socket.socket, spoil: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.line == "garbage" and spoil:
                    data = random.randbytes(len(data))  # noqa: S311 - noise, no secret
                if self.line != "down":
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class UdpSender:
    """Sends MPEG-TS over UDP at the clips' own pace, one clip after the other without end.

    Args:
        clips: H.264 in MP4, of any sizes.
        port: to send to.
        jump_s: the stream's clock jumps by this between two clips.
        clock_s: what the stream's clock begins at.
    """

    def __init__(self, clips: Sequence[Path], port: int, *, jump_s: float = 0.0, clock_s: float = 0.0) -> None:
        self._clips = list(clips)
        self._port = port
        self._jump_s = jump_s
        self._clock_s = clock_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops sending."""
        self._stopping.set()
        self._thread.join()

    def _send(self) -> None:
        start_s = time.monotonic()
        sent_s, clock_s, number = 0.0, self._clock_s, 0
        while not self._stopping.is_set():
            clip = self._clips[number % len(self._clips)]
            number += 1
            end_s = self._send_clip(clip, start_s + sent_s, clock_s)
            sent_s += end_s
            clock_s += end_s + self._jump_s

    def _send_clip(self, clip: Path, start_s: float, clock_s: float) -> float:
        """A muxer for each clip: a camera that changes its size starts its stream anew."""
        end_s = 0.0
        target_url = f"udp://127.0.0.1:{self._port}?pkt_size=1316"
        with av.open(str(clip)) as source, av.open(target_url, "w", format="mpegts") as target:
            video = source.streams.video[0]
            stream = target.add_stream_from_template(video)
            unit = video.time_base or Fraction(1, 25)
            shift = round(clock_s / unit)
            for packet in source.demux(video):
                if packet.dts is None or packet.pts is None:
                    continue
                end_s = max(end_s, float((packet.pts + (packet.duration or 1)) * unit))
                wait_s = start_s + float(packet.dts * unit) - time.monotonic()
                if self._stopping.wait(max(wait_s, 0)):
                    return end_s
                packet.pts += shift
                packet.dts += shift
                packet.stream = stream
                target.mux(packet)
        return end_s

    def __enter__(self) -> UdpSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
