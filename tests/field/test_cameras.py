"""Cameras as people have them: transports, logins, and what they send over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from benchmarks.cameras import RtspServer
from roadmask.engines.errors import SourceError
from roadmask.streaming.redaction import redact_command
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.sources.live.protocol import CameraState
from support.http_camera import http_camera
from support.rtsp_refusal import rtsp_refusal
from support.video_factory import write_clip
from support.watched_decoder import WatchedDecoder

Watch = Callable[[str], WatchedDecoder]
PASSWORD = "p@ss:w/rd#1%&? x"  # noqa: S105 - of a camera that the test makes


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watched: list[WatchedDecoder] = []

    def start(source: str) -> WatchedDecoder:
        watched.append(WatchedDecoder(source, tmp_path / "camera.counts"))
        return watched[-1]

    yield start
    for each in watched:
        each.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(
        tmp_path_factory.mktemp("clips") / "clip.mp4", (number % 25 for number in range(100)), gop=5, b_frames=0
    )


def jpegs(count: int = 5) -> list[bytes]:
    return [bytes(cv2.imencode(".jpg", np.full((48, 64, 3), 40 * number, np.uint8))[1]) for number in range(count)]


@pytest.mark.ci
def test_a_camera_that_refuses_tcp_is_read_over_udp(watch: Watch, gstreamer: None, clip: Path) -> None:
    with RtspServer(clip, udp_only=True) as server:
        camera = watch(server.url)
        camera.until(lambda: len(camera.images) >= 5)
        assert camera.told_of(CameraState.RECONNECTING) is None
    assert camera.images[0].image.shape == (96, 160, 3)


@pytest.mark.ci
def test_a_password_as_it_is_opens_an_rtsp_camera(watch: Watch, gstreamer: None, clip: Path) -> None:
    with RtspServer(clip, login=("ad@min", PASSWORD)) as server:
        camera = watch(f"rtsp://ad@min:{PASSWORD}@127.0.0.1:{server.port}/camera")
        camera.until(lambda: len(camera.images) >= 1)
        assert camera.address.shown == server.url
        assert PASSWORD not in repr(camera.told) + repr(camera.address)


def test_a_camera_that_refuses_tcp_and_udp_says_what_to_set(watch: Watch) -> None:
    with rtsp_refusal() as (port, asked):
        camera = watch(f"rtsp://127.0.0.1:{port}/camera")
        camera.until(
            lambda: camera.said(CameraState.RECONNECTING, "refuses RTSP over TCP (461) and sent nothing over UDP")
        )
    assert "TCP" in asked[0]  # which loses nothing
    assert "UDP" in asked[1]


@pytest.mark.parametrize(
    ("typed", "opened", "shown"),
    [
        ("admin:p@ss:w/rd#1@127.0.0.1:554/x", "admin:p%40ss%3Aw%2Frd%231@127.0.0.1:554/x", "127.0.0.1:554/x"),
        ("admin:p@ss:w/rd#1@cam", "admin:p%40ss%3Aw%2Frd%231@cam", "cam"),
        ("admin:p?w@camera.local/x?y=1", "admin:p%3Fw@camera.local/x?y=1", "camera.local/x"),
        ("me@mail.com:p/w@10.0.0.1/x", "me%40mail.com:p%2Fw@10.0.0.1/x", "10.0.0.1/x"),
        ("eve:p@ss/word@10.0.0.1:554/x", "eve:p%40ss%2Fword@10.0.0.1:554/x", "10.0.0.1:554/x"),
        ("eve:100%/%41%zz@[fe80::1]:554/", "eve:100%25%2F%41%25zz@[fe80::1]:554/", "[fe80::1]:554/"),
        ("eve:p\u00e4ss w\u00f6rd/@10.0.0.1", "eve:p%C3%A4ss%20w%C3%B6rd%2F@10.0.0.1", "10.0.0.1"),
        # what URLs allow is left as it is
        ("eve:p%40ss%2F@10.0.0.1/x", "eve:p%40ss%2F@10.0.0.1/x", "10.0.0.1/x"),
        ("eve:p@ss@cam/x", "eve:p@ss@cam/x", "cam/x"),
        ("cam:5000/live@1080", "cam:5000/live@1080", "cam:5000/live@1080"),
        ("eve:p@camera.local/live@main", "eve:p@camera.local/live@main", "***"),
    ],
)
def test_passwords_as_people_type_them(typed: str, opened: str, shown: str) -> None:
    for scheme in ("rtsp", "rtsps", "http", "https"):
        (address,) = parse_live_sources([f"{scheme}://{typed}"])
        assert (address.secret, address.shown) == (f"{scheme}://{opened}", f"{scheme}://{shown}")


@pytest.mark.parametrize("typed", ["eve:p@s/s@host/x", "eve:tiger@cam/x@nvr/y", "admin:12345/6@cam/x"])
def test_a_password_that_may_end_anywhere_is_explained(typed: str) -> None:
    with pytest.raises(SourceError, match=r"cannot tell where the password ends .* write %40 for '@', %2F") as raised:
        parse_live_sources([f"rtsp://{typed}"])
    assert not any(part in str(raised.value) for part in ("eve", "tiger", "12345", "p@s"))


def test_an_address_that_can_be_read_in_two_ways_says_so_when_it_fails(watch: Watch) -> None:
    camera = watch("rtsp://eve:tiger@127.0.0.1:9/x@cam/y")
    camera.until(lambda: camera.said(CameraState.RECONNECTING, "rtsp://***: connection refused"))
    assert camera.said(CameraState.RECONNECTING, "write %40")
    assert "tiger" not in repr(camera.told)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("user=admin&password=tlJwpbo6&channel=1&stream=0.sdp", "user=***&channel=1&stream=0.sdp"),
        ("user=admin_password=tlJwpbo6_channel=1_stream=0.sdp?real_stream", "user=***_channel=1_stream=0.sdp"),
        ("cam/usr=admin;pwd=tlJwpbo6", "cam/usr=***"),
        ("0/admin:tlJwpbo6/main", "0/***/main"),
        ("live/password/tlJwpbo6", "live/password/***"),
        ("ch0?password=tlJwpbo6", "ch0"),
    ],
)
def test_passwords_inside_paths_are_shown_nowhere(watch: Watch, path: str, shown: str) -> None:
    with rtsp_refusal("454 Session Not Found") as (port, _):
        url = f"rtsp://127.0.0.1:{port}/{path}"
        camera = watch(url)
        camera.until(lambda: camera.state in (CameraState.RECONNECTING, CameraState.REFUSED))
        texts = [repr(camera.told), repr(camera.address), redact_command(["roadmask", "live", f"front={url}"])]
        texts += [camera.address.redact(f"[rtsp @ 0x5f] method SETUP failed: 454 {url} tlJwpbo6")]
    assert camera.address.shown == f"rtsp://127.0.0.1:{port}/{shown}"
    assert camera.said(CameraState.RECONNECTING, f"{shown}: it refused the request (4xx): check the path")
    assert not any("tlJwpbo6" in text for text in texts), texts


def test_a_password_as_it_is_opens_an_http_camera(watch: Watch) -> None:
    with http_camera(jpegs(), login=f"admin:{PASSWORD}") as port:
        camera = watch(f"http://admin:{PASSWORD}@127.0.0.1:{port}/secret")
        camera.until(lambda: len(camera.images) >= 1)


@pytest.mark.parametrize(
    "part",
    ["Content-Type: image/jpg\r\n", "Content-type: image/jpeg; charset=utf-8\r\n", "Content-Type: image/pjpeg\r\n", ""],
)
def test_motion_jpeg_whose_parts_have_another_type(watch: Watch, part: str) -> None:
    images = jpegs()
    with http_camera(images, fps=50, part=part) as port:
        camera = watch(f"http://127.0.0.1:{port}/mjpeg")
        camera.until(lambda: len(camera.images) >= 10)
        assert camera.told_of(CameraState.RECONNECTING) is None
    levels = {int(frame.image.mean().round()) // 40 for frame in camera.images}
    assert levels == {0, 1, 2, 3, 4}
    assert camera.file.read().undecodable == 0


def test_a_slow_camera_whose_parts_have_another_type_is_live_in_time(watch: Watch) -> None:
    with http_camera(jpegs(), fps=4, part="Content-Type: image/jpg\r\n") as port:
        camera = watch(f"http://127.0.0.1:{port}/mjpeg")
        camera.until(lambda: len(camera.images) >= 1)
        assert camera.told_of(CameraState.RECONNECTING) is None


def muxed(clip: Path, path: Path) -> bytes:
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


def test_what_is_no_live_stream_is_refused_by_its_name(watch: Watch, clip: Path, tmp_path: Path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nseg.ts\n"
    png = bytes(cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1])
    files = {
        "/snapshot.jpg": ("image/jpeg", jpegs(1)[0]),
        "/capture": ("application/octet-stream", jpegs(1)[0]),
        "/image": ("image/png", png),
        "/live": ("application/vnd.apple.mpegurl", playlist),
        "/seg.ts": ("video/mp2t", muxed(clip, tmp_path / "seg.ts")),
        "/clip": ("video/mp4", clip.read_bytes()),
        "/mkv": ("video/x-matroska", muxed(clip, tmp_path / "clip.mkv")),
        "/flv": ("video/x-flv", muxed(clip, tmp_path / "clip.flv")),
    }
    expected = {"/snapshot.jpg": "a JPEG snapshot", "/capture": "a JPEG snapshot", "/image": "a PNG snapshot"}
    expected |= {"/live": "an HLS playlist", "/clip": "MP4, a file", "/mkv": "Matroska or WebM, a file", "/flv": "FLV"}
    with http_camera([b""], files=files) as port:
        for path, name in expected.items():
            camera = watch(f"http://127.0.0.1:{port}{path}?token=tlJwpbo6")
            camera.until(lambda camera=camera: camera.decoder.ended)
            said = camera.told_of(CameraState.FAILED)
            assert said is not None, path
            assert f"{path} is {name}" in said
            assert "rtsp://" in said
            camera.close()
            (tmp_path / "camera.counts").unlink()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("http://cam/a/y.m3u8?token=abc", "'http://cam/a/y.m3u8' is an HLS playlist"),
        ("https://cam/Y.M3U8", "an HLS playlist"),
        ("https://cam/live.mpd", "a DASH manifest"),
        ("rtmp://cam/live", "not read over RTMP, expected rtsp://"),
        ("RTMPS://eve:pass@cam/live", "not read over RTMP, expected rtsp://"),
        ("srt://cam:9000", "not read over SRT"),
        ("rtp://cam:5000", "not read over RTP"),
        ("ftp://cam/x", "not read over a file server"),
        ("file:///x.mp4", "write replay:clip.mp4"),
        ("rtsp:/cam/x", "did you mean 'rtsp://cam/x'"),
        ("rtsp:cam/x", "did you mean 'rtsp://cam/x'"),
        ("http:/eve:pass@cam/x", "did you mean 'http://cam/x'"),
        ("rtps://cam/x", "did you mean rtsps:"),
    ],
)
def test_addresses_that_are_not_read_say_what_is(source: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse_live_sources([source])
    assert says in str(raised.value)
    assert "did you mean" in says or "did you mean" not in str(raised.value)
    assert "pass" not in str(raised.value)
