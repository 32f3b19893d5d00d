"""Files that are no video, or one that nobody can decode, are refused with what they are."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from roadmask.engines.errors import SourceError
from roadmask.streaming.sources import open_camera
from support.video_factory import SIZE, spoil_packets, write_clip, write_sound


class TestRefused:
    def refused(self, path: Path) -> str:
        with pytest.raises(SourceError) as caught:
            open_camera("front", [str(path)])
        assert str(path) in str(caught.value)
        return str(caught.value)

    def test_missing_file_names_the_nearest(self, tmp_path: Path) -> None:
        write_clip(tmp_path / "drive_01.mp4", [0])
        assert "did you mean 'drive_01.mp4'" in self.refused(tmp_path / "drive_10.mp4")

    def test_missing_folder(self, tmp_path: Path) -> None:
        assert "does not exist either" in self.refused(tmp_path / "nowhere" / "drive.mp4")

    def test_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "drive.mp4").touch()
        assert "empty file" in self.refused(tmp_path / "drive.mp4")

    @pytest.mark.parametrize(
        "text", ["hello\n" * 500, "#EXTM3U\n#EXTINF:9,\nother.ts\n", "ffconcat version 1.0\nfile x\n"]
    )
    def test_text_renamed(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "drive.mp4").write_text(text)
        assert "text file" in self.refused(tmp_path / "drive.mp4")

    def test_other_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "drive.mp4").write_bytes(bytes(range(1, 256)) * 50 + b"\0")
        assert "not a video container" in self.refused(tmp_path / "drive.mp4")

    def test_zeros(self, tmp_path: Path) -> None:
        (tmp_path / "drive.mp4").write_bytes(bytes(10_000))
        assert "zeros only" in self.refused(tmp_path / "drive.mp4")

    def test_mp4_without_its_index(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "drive.mp4", range(40))
        path.write_bytes(path.read_bytes()[:2000])  # the index comes last
        assert "moov" in self.refused(path)

    def test_zero_frames(self, tmp_path: Path) -> None:
        path = tmp_path / "drive.avi"
        with av.open(str(path), "w") as container:
            container.add_stream("libx264", rate=25)
            container.streams.video[0].height, container.streams.video[0].width = SIZE
            container.start_encoding()
        assert "has no frames" in self.refused(path)

    def test_not_one_frame_decodes(self, tmp_path: Path) -> None:
        path = spoil_packets(write_clip(tmp_path / "drive.mp4", gop=1, b_frames=0), range(12))
        assert "cannot decode any of the 12 frames" in self.refused(path)

    def test_sound_only(self, tmp_path: Path) -> None:
        assert "got audio" in self.refused(write_sound(tmp_path / "drive.m4a"))

    def test_unknown_codec(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "drive.mp4")
        path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
        assert "has no decoder" in self.refused(path)

    def test_same_file_twice(self, tmp_path: Path) -> None:
        path = str(write_clip(tmp_path / "drive.mp4", [0]))
        with pytest.raises(SourceError, match="twice"):
            open_camera("front", [path, path])
