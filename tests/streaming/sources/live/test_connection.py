"""Connections that give no images: each says why in its own words."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cameras import RtspServer, free_port
from roadmask.streaming.sources.live.protocol import CameraState
from support.http_camera import http_camera
from support.video_factory import as_transport_stream, write_sound
from support.watched_decoder import WatchedDecoder

Watch = Callable[[str], WatchedDecoder]


@pytest.mark.ci
def test_a_wrong_password_is_refused_and_never_shown(watch: Watch, gstreamer: None, clip: Path) -> None:
    with RtspServer(clip, login=("eve", "correct-horse")) as server:
        url = f"rtsp://eve:wrong-battery@127.0.0.1:{server.port}/camera?token=abracadabra"
        camera = watch(url)
        camera.until(lambda: camera.said(CameraState.REFUSED, "login was refused"))
        for secret in ("wrong-battery", "eve", "abracadabra"):
            assert secret not in repr(camera.told) + repr(camera.address)


@pytest.mark.ci
def test_a_path_that_an_rtsp_server_does_not_have(watch: Watch, gstreamer: None, clip: Path) -> None:
    with RtspServer(clip) as server:
        camera = watch(f"rtsp://127.0.0.1:{server.port}/elsewhere")
        camera.until(lambda: camera.said(CameraState.REFUSED, "no such path"))


@pytest.mark.parametrize(
    ("path", "state", "says"),
    [
        ("nowhere", CameraState.REFUSED, "no such path on the camera (404)"),
        ("secret", CameraState.REFUSED, "login was refused (401)"),
        ("empty", CameraState.RECONNECTING, "sent no video stream"),
        ("text", CameraState.RECONNECTING, "sent no video stream"),
    ],
)
def test_what_http_servers_say_instead(watch: Watch, path: str, state: CameraState, says: str) -> None:
    with http_camera([b""]) as port:
        camera = watch(f"http://127.0.0.1:{port}/{path}")
        camera.until(lambda: camera.said(state, says))


def test_a_host_that_does_not_exist(watch: Watch) -> None:
    camera = watch("rtsp://no.such.host.invalid/camera")
    camera.until(lambda: camera.said(CameraState.RECONNECTING, "no host of that name"))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_connection_that_is_refused(watch: Watch, scheme: str) -> None:
    camera = watch(f"{scheme}://127.0.0.1:{free_port()}/camera")
    camera.until(lambda: camera.said(CameraState.RECONNECTING, "connection refused, nothing listens there"))


def test_a_udp_port_that_is_taken(watch: Watch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        camera = watch(f"udp://127.0.0.1:{taken.getsockname()[1]}")
        camera.until(lambda: camera.said(CameraState.RECONNECTING, "port is in use"))


def test_a_device_that_is_not_there(watch: Watch) -> None:
    camera = watch("/dev/video97")
    camera.until(lambda: camera.said(CameraState.RECONNECTING, "no such device"))


def test_a_stream_in_a_codec_that_cannot_be_decoded(watch: Watch, clip: Path) -> None:
    stream = as_transport_stream(clip, stream_type=0xD2)  # AVS2, which FFmpeg names and PyAV's build cannot decode
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        port = free_port()
        camera = watch(f"udp://127.0.0.1:{port}")

        def sent() -> bool:
            for start in range(0, len(stream), 7 * 188):
                sender.sendto(stream[start : start + 7 * 188], ("127.0.0.1", port))
                time.sleep(0.002)
            return camera.told_of(CameraState.FAILED) is not None

        camera.until(sent)
        camera.until(lambda: camera.decoder.ended)
    assert camera.said(CameraState.FAILED, "cannot decode: set the camera to H.264, H.265 or MJPEG"), camera.told


def test_a_stream_without_images(watch: Watch, tmp_path: Path) -> None:
    camera = watch(f"replay:{write_sound(tmp_path / 'sound.ts')}")
    camera.until(lambda: camera.decoder.ended)
    assert camera.said(CameraState.FAILED, "expected a video stream"), camera.told
