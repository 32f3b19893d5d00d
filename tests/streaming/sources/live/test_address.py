"""What is typed for a live camera, and that no secret in it is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.sources.live.address import parse_live_sources


@pytest.mark.parametrize(
    ("source", "camera", "kind", "shown"),
    [
        ("rtsp://camera.local/stream", "camera_local", "rtsp", "rtsp://camera.local/stream"),
        ("front=rtsp://u:p@camera.local:554/a?b=c", "front", "rtsp", "rtsp://camera.local:554/a"),
        ("http://10.0.0.2:8080/video.mjpg", "10_0_0_2", "http", "http://10.0.0.2:8080/video.mjpg"),
        ("udp://@239.0.0.1:5000", "239_0_0_1", "udp", "udp://239.0.0.1:5000"),
        ("udp://:5000", "udp_5000", "udp", "udp://:5000"),
        ("/dev/video0", "video0", "device", "/dev/video0"),
        ("rear=/dev/video2", "rear", "device", "/dev/video2"),
    ],
)
def test_reads_what_is_typed(source: str, camera: str, kind: str, shown: str) -> None:
    (address,) = parse_live_sources([source])
    assert (address.camera, address.kind, address.shown) == (camera, kind, shown)


def test_reads_a_file_to_replay(tmp_path: Path) -> None:
    path = tmp_path / "drive 1.mp4"
    path.write_bytes(b"x")
    (address,) = parse_live_sources([f"replay:{path}"])
    assert (address.camera, address.secret, address.shown) == ("drive_1", str(path), "replay:drive 1.mp4")


def test_cameras_without_a_name_are_numbered() -> None:
    addresses = parse_live_sources(["rtsp://host/1", "rtsp://host/2", "rtsp://host/3"])
    assert [address.camera for address in addresses] == ["host", "host_2", "host_3"]


@pytest.mark.parametrize(
    ("sources", "kind", "says"),
    [
        ([], InputError, "at least one camera"),
        (["front="], InputError, "expected a camera's source"),
        (["a=rtsp://h/1", "a=rtsp://h/2"], InputError, "two cameras are named 'a'"),
        (["../a=rtsp://h/1"], SourceError, "as a live camera"),
        (["rtmp://h/1"], SourceError, "not read over RTMP"),
        (["rtps://h/1"], SourceError, "did you mean rtsp"),
        (["rtsp:///path"], SourceError, "names no host"),
        (["udp://host"], SourceError, "names no port"),
        (["rtsp://h:99999/1"], SourceError, "out of range"),
        (["replay:missing.mp4"], SourceError, "no file or folder"),
        (["nowhere"], SourceError, "expected rtsp://"),
    ],
)
def test_refuses_with_one_clear_sentence(sources: list[str], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as raised:
        parse_live_sources(sources)
    assert "\n" not in str(raised.value)


def test_a_file_is_pointed_to_replay(tmp_path: Path) -> None:
    path = tmp_path / "drive.mp4"
    path.write_bytes(b"x")
    with pytest.raises(SourceError, match=r"write 'replay:.*drive\.mp4'"):
        parse_live_sources([str(path)])


SECRETS = [
    "rtsp://eve:pass@host/x",
    "rtsp://eve:pa:ss@host/x",
    "rtsp://eve:pa@ss@host/x",
    "rtsp://eve:pa/ss@host/x",
    "rtsp://eve:pa?ss@host/x",
    "rtsp://eve:pa#ss@host/x",
    "rtsp://eve:pa'ss@host/x",
    "rtsp://eve:pa[ss@host/x",
    "http://host/x?user=eve&password=pass",
    "http://host?token=pass",
    "http://host/x#pass",
]


@pytest.mark.parametrize("url", SECRETS)
def test_nothing_secret_is_shown(url: str) -> None:
    (address,) = parse_live_sources([url])
    texts = [address.shown, repr(address), address.redact(f"cannot open {url}: gone")]
    for text in texts:
        assert "eve" not in text
        assert "pass" not in text
        assert "ss@" not in text
    assert "host" in address.shown


@pytest.mark.parametrize("source", ["rstp://eve:pa'ssword@host/x", "eve:password@host/x", "eve:pass@word@host/x"])
def test_a_source_that_is_mistyped_is_shown_without_its_password(source: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse_live_sources([source])
    assert "host/x" in str(raised.value)
    assert "word" not in str(raised.value)
