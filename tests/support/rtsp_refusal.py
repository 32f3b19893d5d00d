"""An RTSP camera that describes a stream and refuses every way to send it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n"


@contextmanager
def rtsp_refusal(setup: str = "461 Unsupported Transport") -> Iterator[tuple[int, list[str]]]:
    """Answers every SETUP with a status; gives the port, and the transports that were asked for."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self.rfile.readline().decode():
                headers = dict(line.split(": ", 1) for line in iter(lambda: self.rfile.readline().decode().strip(), ""))
                method, body, status = request.split()[0], "", "200 OK"
                if method == "SETUP":
                    asked.append(headers["Transport"])
                    status = setup
                if method == "DESCRIBE":
                    body = _SDP
                answer = f"RTSP/1.0 {status}\r\nCSeq: {headers['CSeq']}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
                kind = "Content-Type: application/sdp\r\n" if body else ""
                self.wfile.write(f"{answer}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
