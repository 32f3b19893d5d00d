"""Image files of phones, scanners and data sets: read as they are, or refused by one message that helps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from roadmask.cli import main
from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import open_camera
from support.video_factory import SIZE, number_of, numbered_image, write_clip

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(480)


def numbers(*specs: object) -> list[int | None]:
    with open_camera("front", [str(spec) for spec in specs]) as source:
        items = list(source)
        assert source.captured == source.frames_expected == len(items)
    return [number_of(item.image) if isinstance(item, Frame) else None for item in items]


def refused(spec: object) -> str:
    with pytest.raises(SourceError) as caught:
        open_camera("front", [str(spec)])
    return str(caught.value)


def pages(path: Path, count: int, sizes: list[tuple[int, int]] | None = None, **options: object) -> Path:
    images = [Image.fromarray(numbered_image(n, sizes[n] if sizes else SIZE)) for n in range(count)]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


class TestRead:
    @pytest.mark.parametrize("suffix", [".avif", ".ppm", ".pnm", ".PPM"])
    def test_formats_of_data_sets_and_phones(self, tmp_path: Path, suffix: str) -> None:
        for number in range(2):
            encoded = cv2.imencode(suffix.lower(), numbered_image(number)[:, :, ::-1])[1]
            (tmp_path / f"{number}{suffix}").write_bytes(encoded.tobytes())
        assert numbers(tmp_path) == numbers(f"{tmp_path}/*{suffix}") == [0, 1]

    def test_grey_maps(self, tmp_path: Path) -> None:
        for number, suffix in enumerate((".pgm", ".pbm")):
            grey = numbered_image(7).max(axis=2)
            assert cv2.imwrite(
                str(tmp_path / f"{number}{suffix}"), grey if suffix == ".pgm" else (grey > 9) * np.uint8(1)
            )
        assert numbers(tmp_path) == [7, 7]

    @pytest.mark.parametrize("compression", [None, "tiff_lzw"])
    def test_every_page_of_a_tiff_is_a_frame(self, tmp_path: Path, compression: str | None) -> None:
        path = pages(tmp_path / "scan.tif", 4, compression=compression)
        assert numbers(path) == [0, 1, 2, 3]
        with open_camera("front", [str(path)]) as source:
            assert [item.timestamp_ns for item in source] == [0, 100_000_000, 200_000_000, 300_000_000]

    def test_pages_and_files_follow_each_other(self, tmp_path: Path) -> None:
        pages(tmp_path / "0.tif", 2)
        cv2.imwrite(str(tmp_path / "1.png"), numbered_image(9)[:, :, ::-1])
        assert numbers(tmp_path) == [0, 1, 9]

    def test_a_thumbnail_is_no_page(self, tmp_path: Path) -> None:
        assert numbers(pages(tmp_path / "photo.tif", 2, [SIZE, (24, 40)])) == [0]
        first, preview = (Image.fromarray(numbered_image(n, size)) for n, size in ((1, SIZE), (2, (64, 64))))
        preview.encoderinfo = {"tiffinfo": {254: 1}}
        first.save(tmp_path / "photo.tif", save_all=True, append_images=[preview])
        assert numbers(tmp_path / "photo.tif") == [1]

    def test_a_jpeg_with_the_suffix_of_a_phone(self, tmp_path: Path) -> None:
        (tmp_path / "IMG_1.HEIC").write_bytes(cv2.imencode(".jpg", numbered_image(3)[:, :, ::-1])[1].tobytes())
        assert numbers(tmp_path) == [3]

    def test_the_real_pages(self, data_dir: Path) -> None:
        path = data_dir / "field" / "multipage.tif"
        if not path.is_file():
            pytest.skip(f"needs {path}")
        with open_camera("front", [str(path)]) as source:
            images = [item.image for item in source if isinstance(item, Frame)]
        assert [image.shape for image in images] == [(270, 480, 3)] * 3
        assert (images[0] != images[2]).any()


class TestRefused:
    @pytest.mark.parametrize("name", ["IMG_0.HEIC", "IMG_0.heif", "IMG_0.jpg"])
    def test_heic_says_how_to_convert_it(
        self, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / name).write_bytes(HEIC)
        for spec in (tmp_path / name, tmp_path):
            said = refused(spec)
            assert f"{name} is a HEIC image" in said
            assert "heif-convert" in said
            assert "untrunc" not in said
        monkeypatch.setattr("sys.argv", ["roadmask", "run", str(tmp_path / name), "--out", str(tmp_path / "a.zarr")])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert "is a HEIC image" in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "a.zarr").exists()

    def test_one_heic_among_others(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "1.jpg"), numbered_image(1))
        (tmp_path / "2.HEIC").write_bytes(HEIC)
        assert "2.HEIC is a HEIC image" in refused(tmp_path)

    def test_pages_of_different_sizes(self, tmp_path: Path) -> None:
        said = refused(pages(tmp_path / "scan.tif", 3, [SIZE, SIZE, (SIZE[1], SIZE[0])]))
        assert "scan.tif has 3 pages of different sizes (160 x 96, 96 x 160)" in said
        assert "tiffsplit" in said

    @pytest.mark.parametrize(("suffix", "name"), [(".webp", "WebP"), (".png", "PNG")])
    def test_animations(self, tmp_path: Path, suffix: str, name: str) -> None:
        path = pages(tmp_path / f"moving{suffix}", 3, duration=[40, 80, 40])
        assert f"moving{suffix} is an animated {name}, whose images have times of their own" in refused(path)

    def test_the_real_image_of_a_phone(self, data_dir: Path) -> None:
        path = data_dir / "field" / "IMG_0.HEIC"
        if not path.is_file():
            pytest.skip(f"needs {path}")
        assert "is a HEIC image" in refused(path)


def test_still_ones_are_not_taken_for_animations(tmp_path: Path) -> None:
    for number, suffix in enumerate((".webp", ".png", ".jpg", ".bmp")):
        Image.fromarray(numbered_image(number)).convert("RGBA" if suffix in (".webp", ".png") else "RGB").save(
            tmp_path / f"{number}{suffix}"
        )
    assert numbers(tmp_path) == [0, 1, 2, 3]


def test_a_video_is_no_image(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(2))
    clip.rename(tmp_path / "a.jpg")
    assert "cannot decode any of the 1 images" in refused(tmp_path / "a.jpg")


def test_half_a_file_is_lost(tmp_path: Path) -> None:
    pages(tmp_path / "0.tif", 1)
    (tmp_path / "1.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X")
    (tmp_path / "2.tif").write_bytes((tmp_path / "0.tif").read_bytes()[:40])
    with open_camera("front", [str(tmp_path)]) as source:
        assert [isinstance(item, LostFrame) for item in source] == [False, True, True]
