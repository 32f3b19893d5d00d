"""Files whose end is missing, by the sizes that they state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roadmask.streaming.sources.cut_off import bytes_stated
from support.video_factory import write_clip


@pytest.mark.parametrize(
    ("name", "container", "how"),
    [
        ("clip.avi", "avi", {"codec": "mpeg4"}),
        ("clip.mkv", "matroska,webm", {}),
        ("clip.webm", "matroska,webm", {"codec": "libvpx-vp9"}),
        ("clip.wmv", "asf", {"codec": "msmpeg4"}),
        ("clip.mp4", "mov,mp4", {"options": {"movflags": "faststart"}}),
        ("fragments.mp4", "mov,mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
    ],
)
def test_a_whole_file_and_half_of_it(tmp_path: Path, name: str, container: str, how: dict[str, Any]) -> None:
    path = write_clip(tmp_path / name, range(40), **how)
    whole = path.read_bytes()
    assert bytes_stated(path, container) is None
    path.write_bytes(whole + b"what the camera adds")
    assert bytes_stated(path, container) is None
    path.write_bytes(whole[: len(whole) // 2])
    stated = bytes_stated(path, container)
    assert stated is not None
    assert len(whole) // 2 < stated <= len(whole)
    assert stated == len(whole) or name == "fragments.mp4"  # only the fragment that is cut states its size


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"\x1a\x45\xdf\xa3", b"\0\0\0\1mdat"])
def test_what_states_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip"
    path.write_bytes(content)
    assert [bytes_stated(path, container) for container in ("avi", "mp4", "matroska", "asf", "mpegts")] == [None] * 5
