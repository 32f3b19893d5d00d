from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.sources import open_camera, parse_sources


@pytest.mark.parametrize(
    ("args", "cameras"),
    [
        (["drive.mp4"], {"drive": ["drive.mp4"]}),
        (["a/front.mp4", "a/rear.mp4"], {"front": ["a/front.mp4"], "rear": ["a/rear.mp4"]}),
        (["front=a.mp4", "rear=b.mp4", "front=c.mp4"], {"front": ["a.mp4", "c.mp4"], "rear": ["b.mp4"]}),
        (["my drive (1).mp4"], {"my_drive_1": ["my drive (1).mp4"]}),
        (["drive.2026.mp4"], {"drive_2026": ["drive.2026.mp4"]}),
        # A glob is one camera, named after the folder that the pattern does not touch.
        (["drive/*.mp4"], {"drive": ["drive/*.mp4"]}),
        (["drive/*/img_?.png"], {"drive": ["drive/*/img_?.png"]}),
        (["drive/*.png?fps=5"], {"drive": ["drive/*.png?fps=5"]}),
        (["drive/?fps=5"], {"drive": ["drive/?fps=5"]}),
        # Images as a shell expands drive/*.png, next to another camera.
        (["d/1.png", "d/2.png", "e/1.png"], {"d": ["d/1.png", "d/2.png"], "e": ["e/1.png"]}),
        # The sample drive is named after its view.
        (["synthetic:"], {"front": ["synthetic:"]}),
        (["synthetic:rear?fps=10&seconds=4"], {"rear": ["synthetic:rear?fps=10&seconds=4"]}),
        (["left=synthetic:?fps=10"], {"left": ["synthetic:?fps=10"]}),
        # Only the first '=' names a camera, and not one inside a path, a pattern or a URL.
        (["front=a=b.mp4"], {"front": ["a=b.mp4"]}),
        (["./a=b.mp4"], {"a_b": ["./a=b.mp4"]}),
        (["front=rtsp://h/x?a=b"], {"front": ["rtsp://h/x?a=b"]}),
        (["C:\\drives\\a.mp4"], {"C_drives_a": ["C:\\drives\\a.mp4"]}),
    ],
)
def test_sources_by_camera(args: list[str], cameras: dict[str, list[str]]) -> None:
    assert parse_sources(args) == cameras


def test_an_existing_file_with_an_equals_sign_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("front=1.mp4").touch()
    assert parse_sources(["front=1.mp4"]) == {"front_1": ["front=1.mp4"]}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "at least one source"),
        ([""], "empty"),
        (["front="], "after 'front='"),
        (["=a.mp4"], "cannot name a camera"),
        (["C:=x"], "cannot name a camera"),
        (["my cam=x.mp4"], "cannot name a camera"),
        (["x/drive.mp4", "y/drive.mp4"], "both be camera 'drive'"),
        (["drive.mp4", "drive.mp4"], "both be camera 'drive'"),
        (["front=a.mp4", "synthetic:"], "both be camera 'front'"),
        (["(.mp4"], "cannot make a camera name"),
    ],
)
def test_refused(args: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_sources(args)


@pytest.mark.parametrize("scheme", ["rtsp", "http", "v4l2", "udp"])
def test_live_sources_are_refused_without_telling_passwords(scheme: str) -> None:
    url = f"{scheme}://user:secret@camera/stream?token=secret"
    with pytest.raises(SourceError, match="`roadmask run` does not read") as caught:
        open_camera("front", [url])
    assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="`roadmask run` does not read") as caught:
        parse_sources([url])
    assert "secret" not in str(caught.value)


def test_name_and_number_of_sources_are_checked() -> None:
    with pytest.raises(InputError, match="cannot name a camera"):
        open_camera("../front", ["a.mp4"])
    with pytest.raises(SourceError, match="at least one source"):
        open_camera("front", [])


def test_naming_sources_needs_no_video_library() -> None:
    code = (
        "import sys, roadmask.streaming.sources; print([m for m in ('av', 'ray', 'zarr', 'torch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
