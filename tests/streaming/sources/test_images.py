from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.testing import SourceContract
from support.video_factory import SIZE, number_of, numbered_image, write_clip


def write_image(path: Path, number: int, size: tuple[int, int] = SIZE) -> Path:
    assert cv2.imwrite(str(path), cv2.cvtColor(numbered_image(number, size), cv2.COLOR_RGB2BGR))
    return path


def numbers(source: FrameSource) -> list[int | None]:
    return [number_of(item.image) if isinstance(item, Frame) else None for item in source]


class TestFolder(SourceContract):
    frames = 12
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        images = folder / "drive"
        if not images.exists():
            images.mkdir()
            for number in range(12):
                write_image(images / f"{number}.png", number)
        return open_camera(self.camera, [str(images)])


class TestFolderWithBadImage(SourceContract):
    frames = 5
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        for number in range(5):
            write_image(folder / f"{number}.jpg", number)
        (folder / "0.jpg").write_bytes(b"")
        (folder / "3.jpg").write_bytes(b"\xff\xd8 not an image")
        return open_camera(self.camera, [f"{folder}/*.jpg"])


def test_natural_order_and_only_images(tmp_path: Path) -> None:
    for number in (1, 2, 10, 20):
        write_image(tmp_path / f"img{number}.png", number)
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".img3.png").write_bytes(b"left behind by a copy")
    assert numbers(open_camera("front", [str(tmp_path)])) == [1, 2, 10, 20]


def test_glob_picks_images(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"{'left' if number % 2 else 'right'}_{number}.png", number)
    assert numbers(open_camera("front", [str(tmp_path / "left_*.png")])) == [1, 3]


def test_images_one_by_one_keep_the_order_given(tmp_path: Path) -> None:
    paths = [str(write_image(tmp_path / f"{number}.png", number)) for number in (3, 1, 2)]
    assert numbers(open_camera("front", paths)) == [3, 1, 2]


@pytest.mark.parametrize(("query", "step_ms"), [("", 100), ("?fps=25", 40), ("?fps=29.97", 33.366700)])
def test_rate(tmp_path: Path, query: str, step_ms: float) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", number)
    for spec in (f"{tmp_path}{query}", f"{tmp_path}/{query}", f"{tmp_path}/?.png{query}"):
        times = [item.timestamp_ns for item in open_camera("front", [spec])]
        assert times == pytest.approx([0, step_ms * 1e6, 2 * step_ms * 1e6], abs=1)


@pytest.mark.parametrize("suffix", [".bmp", ".jpg", ".png", ".tif", ".webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"image{suffix}", 37)
    (frame,) = open_camera("front", [str(path)])
    assert number_of(frame.image) == 37
    assert np.abs(frame.image.astype(int) - numbered_image(37)).mean() < 8


def test_grey_alpha_and_sixteen_bits_become_rgb(tmp_path: Path) -> None:
    grey = numbered_image(9).max(axis=2)
    cv2.imwrite(str(tmp_path / "0.png"), grey)
    cv2.imwrite(str(tmp_path / "1.png"), cv2.cvtColor(numbered_image(9), cv2.COLOR_RGB2BGRA))
    cv2.imwrite(str(tmp_path / "2.png"), numbered_image(9)[..., ::-1].astype(np.uint16) * 257)
    one, two, three = (item.image for item in open_camera("front", [str(tmp_path)]))
    np.testing.assert_array_equal(one, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(two, numbered_image(9))
    np.testing.assert_array_equal(three, numbered_image(9))


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    jpeg = write_image(tmp_path / "phone.jpg", 5).read_bytes()
    # One EXIF directory with one entry: orientation (0x112) 6, "turn clockwise to show".
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    (tmp_path / "phone.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    (frame,) = open_camera("front", [str(tmp_path)])
    assert frame.image_size == (SIZE[1], SIZE[0])
    assert np.abs(frame.image.astype(int) - np.rot90(numbered_image(5), -1)).mean() < 8


def test_mixed_sizes_name_both_files_and_keep_what_came_before(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", 0)
    write_image(tmp_path / "1.png", 1)
    write_image(tmp_path / "2.png", 2, size=(64, 128))
    frames = iter(open_camera("front", [str(tmp_path)]))
    assert [next(frames).frame_index, next(frames).frame_index] == [0, 1]
    with pytest.raises(SourceError, match=r"0\.png is 160 x 96, 2\.png is 128 x 64"):
        next(frames)


def test_bad_image_is_a_lost_frame_at_its_time(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"junk")
    items = list(open_camera("front", [str(tmp_path)]))
    assert items[1] == LostFrame("front", 0, 1, 100_000_000, "decode")


def test_an_image_that_vanished_is_a_lost_frame(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", number)
    source = open_camera("front", [str(tmp_path)])
    (tmp_path / "1.png").unlink()
    assert numbers(source) == [0, None, 2]


def refused(*specs: object) -> str:
    with pytest.raises(SourceError) as caught:
        open_camera("front", [str(spec) for spec in specs])
    return str(caught.value)


class TestRefused:
    def test_folder_without_images(self, tmp_path: Path) -> None:
        assert "holds no images" in refused(tmp_path)
        (tmp_path / "a.txt").touch()
        assert "1 other files" in refused(tmp_path)

    def test_folder_of_videos_says_how_to_join_them(self, tmp_path: Path) -> None:
        write_clip(tmp_path / "a.mp4", [0])
        assert f"NAME={tmp_path}/*.mp4" in refused(tmp_path)

    def test_folder_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: Path) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "iterdir", refuse)  # permissions do not stop root, who may run the tests
        assert "no permission to read" in refused(tmp_path)

    def test_no_image_decodes(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"junk")
        assert "cannot decode any of the 1 images" in refused(tmp_path)

    def test_glob_without_match(self, tmp_path: Path) -> None:
        assert "no file matches" in refused(tmp_path / "*.png")

    def test_images_and_videos_together(self, tmp_path: Path) -> None:
        assert "mixes" in refused(write_image(tmp_path / "a.png", 0), write_clip(tmp_path / "a.mp4", [0]))

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("?fsp=25", "did you mean 'fps'"),
            ("?fps=fast", "positive number"),
            ("?fps=0", "positive number"),
            ("?fps=nan", "positive number"),
        ],
    )
    def test_parameters(self, tmp_path: Path, query: str, says: str) -> None:
        write_image(tmp_path / "a.png", 0)
        assert says in refused(f"{tmp_path}{query}")

    def test_rate_of_a_video(self, tmp_path: Path) -> None:
        assert "has its own frame times" in refused(f"{write_clip(tmp_path / 'a.mp4', [0])}?fps=25")


def test_real_drive(data_dir: Path) -> None:
    source = open_camera("front", [str(data_dir / "kitti_drive")])
    sizes = {item.image_size for item in source if isinstance(item, Frame)}
    assert sizes == {(375, 1242)}
    assert source.captured == source.frames_expected == 78
    assert source.describe()["image_size"] == [375, 1242]
