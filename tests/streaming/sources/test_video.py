from __future__ import annotations

import gc
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from roadmask.streaming.frames import Frame, LostFrame
from roadmask.streaming.sources import FrameSource, open_camera
from roadmask.testing import SourceContract
from support.video_factory import (
    BLUE,
    MS,
    RED,
    SIZE,
    numbered_image,
    numbers,
    read,
    spoil_packets,
    times_ms,
    write_clip,
)


class TestVideo(SourceContract):
    frames = 12
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        path = folder / "drive.mp4"
        if not path.exists():
            write_clip(path)
        return open_camera(self.camera, [str(path)])


class TestVideoWithLostPackets(SourceContract):
    frames = 12
    image_size = SIZE

    def open(self, folder: Path) -> FrameSource:
        path = folder / "drive.mp4"
        if not path.exists():
            spoil_packets(write_clip(path), [5])
        return open_camera(self.camera, [str(path)])


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("b_frames.mp4", {}),  # decoded in another order than shown
        ("stream.ts", {}),  # starts at 1.4 s
        ("raw.h264", {"format": "h264"}),  # no container
        ("reordered.avi", {}),  # states decode times only
        ("motion.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full_range": True}),
        ("old.avi", {"codec": "mpeg4"}),
        ("free.webm", {"codec": "libvpx-vp9"}),
    ],
)
def test_frames_come_in_order_at_their_times(tmp_path: Path, name: str, how: dict) -> None:
    _, items = read(write_clip(tmp_path / name, **how))
    assert numbers(items) == list(range(12))
    assert times_ms(items) == [40 * i for i in range(12)]


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_variable_frame_rate_keeps_its_times(tmp_path: Path, name: str) -> None:
    times = [0, 40, 45, 120, 500, 520, 521, 600]
    _, items = read(write_clip(tmp_path / name, range(8), times=times))
    assert times_ms(items) == times
    assert numbers(items) == list(range(8))


def test_what_an_edit_list_cuts_is_not_captured(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "trimmed.mp4", range(12), times=[40 * i - 200 for i in range(12)])
    source, items = read(path)
    assert numbers(items) == list(range(5, 12))
    assert times_ms(items) == [40 * i for i in range(7)]
    assert source.captured == 7


def test_a_recording_glued_to_itself_goes_on_in_time(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts").read_bytes()
    glued = tmp_path / "glued.ts"
    glued.write_bytes(clip + clip)
    _, items = read(glued)
    assert numbers(items) == [*range(12), *range(12)]
    assert times_ms(items) == [40 * i for i in range(24)]


def test_a_stream_that_appears_on_the_way_does_no_harm(tmp_path: Path) -> None:
    glued = tmp_path / "glued.ts"
    second = write_clip(tmp_path / "b.ts", options={"mpegts_start_pid": "0x200"}).read_bytes()
    glued.write_bytes(write_clip(tmp_path / "a.ts").read_bytes() + second)
    _, items = read(glued)
    assert numbers(items)[:12] == list(range(12))


def test_another_image_size_starts_the_next_epoch(tmp_path: Path) -> None:
    glued = tmp_path / "glued.ts"
    first = write_clip(tmp_path / "a.ts", range(5)).read_bytes()
    second = write_clip(tmp_path / "b.ts", range(5, 9), size=(128, 64)).read_bytes()
    glued.write_bytes(first + second)
    _, items = read(glued)
    assert [(item.epoch, item.image_size) for item in items] == [(0, SIZE)] * 5 + [(1, (128, 64))] * 4
    assert [item.frame_index for item in items] == list(range(9))
    assert numbers(items) == list(range(9))


class TestLostPackets:
    def test_each_bad_packet_is_one_lost_frame_in_its_place(self, tmp_path: Path) -> None:
        path = spoil_packets(write_clip(tmp_path / "drive.mp4", gop=1, b_frames=0), [0, 3, 11])
        source, items = read(path)
        assert numbers(items) == [None, 1, 2, None, 4, 5, 6, 7, 8, 9, 10, None]
        lost = [item for item in items if isinstance(item, LostFrame)]
        assert [(item.frame_index, item.timestamp_ns, item.reason) for item in lost] == [
            (0, 0, "decode"),
            (3, 120 * MS, "decode"),
            (11, 440 * MS, "decode"),
        ]
        assert source.captured == 12

    def test_among_reordered_frames(self, tmp_path: Path) -> None:
        path = spoil_packets(write_clip(tmp_path / "drive.mp4", range(40)), [14])
        source, items = read(path)
        assert sum(isinstance(item, LostFrame) for item in items) == 1
        assert source.captured == len(items) == 40

    def test_two_readers_at_once_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        path = spoil_packets(write_clip(tmp_path / "drive.mp4", range(40)), [14])
        _, alone = read(path)
        sources = [open_camera(name, [str(path)]) for name in ("front", "rear")]
        for one, two, expected in zip(*sources, alone, strict=True):
            assert type(one) is type(two) is type(expected)
            assert one.timestamp_ns == two.timestamp_ns == expected.timestamp_ns

    def test_truncated_file_keeps_what_decodes_and_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_clip(tmp_path / "drive.mp4", range(40), options={"movflags": "faststart"})
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * 0.6)])
        source, items = read(path)
        whole = numbers(items[:-1])
        assert whole == list(range(len(whole)))
        assert 10 < len(whole) < 40
        assert isinstance(items[-1], LostFrame)  # the packet that was cut
        assert source.captured == len(items)
        assert f"{len(items)} of the 40 frames" in caplog.text


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring_are_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = write_clip(tmp_path / "phone.mp4", [5], turn={"degrees": degrees, "hflip": mirrored})
    _, (frame,) = read(path)
    expected = np.rot90(numbered_image(5), degrees // 90)
    if mirrored:
        expected = expected[:, ::-1]
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 8  # blurred chroma at the edges


def test_rotation_agrees_with_opencv(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "phone.mp4", [5], turn={"degrees": 90})
    capture = cv2.VideoCapture(str(path))
    _, bgr = capture.read()
    capture.release()
    _, (frame,) = read(path)
    assert np.abs(frame.image.astype(int) - bgr[..., ::-1]).mean() < 8


def frames_in_memory() -> list[av.VideoFrame]:
    # not isinstance, which asks the object itself: some only stand for another, which may be gone
    return [each for each in gc.get_objects() if type(each) is av.VideoFrame]


def test_decoded_images_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "drive.mp4", range(60), turn={"degrees": 90})
    gc.collect()
    before = frames_in_memory()  # those of other tests
    gc.disable()
    try:
        for _ in open_camera("front", [str(path)]):
            pass
        left = len(frames_in_memory()) - len(before)
    finally:
        gc.enable()
    assert left <= 2


class TestColour:
    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
    @pytest.mark.parametrize("full_range", [False, True])
    @pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
    def test_matrix_and_range_are_honoured(
        self, tmp_path: Path, pix_fmt: str, full_range: bool, matrix: Colorspace
    ) -> None:
        path = write_clip(tmp_path / "c.mp4", [255], pix_fmt=pix_fmt, full_range=full_range, matrix=matrix)
        _, (frame,) = read(path)
        assert_colours(frame.image, tolerance=6)  # the encoder's loss; a wrong matrix or range is off by 12 and more

    @pytest.mark.parametrize("full_range", [False, True])
    def test_grey_spans_black_to_white(self, tmp_path: Path, full_range: bool) -> None:
        path = tmp_path / "grey.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = 32, 64, "gray"
            stream.codec_context.color_range = 2 if full_range else 1
            stream.options = {"crf": "1"}
            frame = av.VideoFrame(64, 32, "gray")
            plane = np.frombuffer(frame.planes[0], np.uint8).reshape(32, -1)
            plane[:, :32], plane[:, 32:64] = (0, 255) if full_range else (16, 235)
            frame.color_range = stream.codec_context.color_range
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        _, (item,) = read(path)
        np.testing.assert_allclose(item.image[16, 16], 0, atol=3)
        np.testing.assert_allclose(item.image[16, 48], 255, atol=3)

    def test_odd_sizes(self, tmp_path: Path) -> None:
        _, (frame,) = read(write_clip(tmp_path / "odd.mp4", [255], size=(97, 161), pix_fmt="yuv444p"))
        assert frame.image_size == (97, 161)
        assert_colours(frame.image, tolerance=6)

    def test_an_unstated_matrix_is_that_of_its_size(self, tmp_path: Path) -> None:
        for name, size, matrix in (("sd", SIZE, Colorspace.ITU601), ("hd", (720, 160), Colorspace.ITU709)):
            path = write_clip(tmp_path / f"{name}.avi", [255], size=size, codec="mpeg4", matrix=matrix)
            _, (frame,) = read(path)
            assert_colours(frame.image, tolerance=10)  # MPEG-4 at its default rate


def assert_colours(image: np.ndarray, tolerance: float) -> None:
    height, width = image.shape[:2]
    np.testing.assert_allclose(image[height // 4, width // 2], (255, 255, 255), atol=tolerance)
    np.testing.assert_allclose(image[3 * height // 4, width // 4], RED, atol=tolerance)
    np.testing.assert_allclose(image[3 * height // 4, 3 * width // 4], BLUE, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "frames", "size", "fps"),
    [
        ("highway", 221, (540, 960), 25),
        ("freeway_near", 38, (720, 1280), 25),
        ("night_crossing", 8, (1080, 1920), 3),
    ],
)
def test_real_clips(data_dir: Path, name: str, frames: int, size: tuple[int, int], fps: int) -> None:
    source = open_camera("front", [str(data_dir / "clips" / f"{name}.mp4")])
    count = 0
    for item in source:
        assert isinstance(item, Frame)
        assert item.image_size == size
        assert item.timestamp_ns == pytest.approx(count * 1e9 / fps, abs=1)
        count += 1
    assert count == source.captured == source.frames_expected == frames
    assert source.fps == fps
