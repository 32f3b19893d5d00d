"""A camera over HTTP: motion JPEG, MPEG-TS, and answers that are no camera."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType


@contextmanager
def http_camera(
    jpegs: Sequence[bytes],
    transport_stream: bytes = b"",
    fps: float = 25.0,
    *,
    part: str = "Content-Type: image/jpeg\r\n",
    login: str = "",
    files: Mapping[str, tuple[str, bytes]] = MappingProxyType({}),
) -> Iterator[int]:
    """Serves /mjpeg, /ts, /empty, /text and /secret (motion JPEG behind a login) over HTTP; gives the port.

    Args:
        jpegs: images of the motion JPEG.
        transport_stream: what /ts sends.
        fps: images a second.
        part: headers of each image.
        login: user and password of /secret, with a colon between them; it refuses everybody if empty.
        files: path -> content type and content of what else is served.
    """
    allowed = "Basic " + b64encode(login.encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            served = {
                "/mjpeg": self._mjpeg,
                "/secret": self._mjpeg,
                "/ts": self._ts,
                "/empty": self._empty,
                "/text": self._text,
            }
            if path == "/secret" and (not login or self.headers["Authorization"] != allowed):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
            elif path in files:
                kind, content = files[path]
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(content)
            elif path in served:
                self.send_response(200)
                with suppress(OSError):
                    served[path]()
            else:
                self.send_error(404)

        def _mjpeg(self) -> None:
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = 0
            while True:
                jpeg = jpegs[number % len(jpegs)]
                head = f"--frame\r\n{part}Content-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                number += 1
                time.sleep(1 / fps)

        def _ts(self) -> None:
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            for start in range(0, len(transport_stream), 1316):
                self.wfile.write(transport_stream[start : start + 1316])
                time.sleep(0.002)

        def _empty(self) -> None:
            self.end_headers()

        def _text(self) -> None:
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>This is no camera.</html>" * 100)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
