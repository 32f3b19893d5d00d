from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from roadmask.engines.errors import InputError, StoreError
from roadmask.streaming.sinks.video_writer import VideoWriter, require_writable
from support.video_factory import BLUE, RED, number_of, numbered_image

MS = 1_000_000


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write(path: Path, numbers: range = range(6), size: tuple[int, int] = (96, 160)) -> Path:
    with VideoWriter(path) as video:
        for number in numbers:
            video.write(numbered_image(number, size), number * 40 * MS)
    return path


def test_images_come_back_in_order_and_colour(tmp_path: Path) -> None:
    frames = decoded(write(tmp_path / "a.mp4"))
    assert [number_of(frame) for frame in frames] == list(range(6))
    np.testing.assert_allclose(frames[3][70, 40], RED, atol=12)
    np.testing.assert_allclose(frames[3][70, 120], BLUE, atol=12)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_plays_from_its_first_bytes(tmp_path: Path) -> None:
    content = write(tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("size", [(97, 161), (96, 161), (33, 35)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = decoded(write(tmp_path / "a.mp4", size=size))
    assert frames[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert [number_of(frame[: size[0], : size[1]]) for frame in frames] == list(range(6))


def test_length_is_that_of_the_drive(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as video:
        for time_ms in (5000, 5100, 5200, 6000, 6100):
            video.write(numbered_image(1), time_ms * MS)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.2, abs=0.001)
        assert stream.start_time == 0


def test_one_image_and_none(tmp_path: Path) -> None:
    assert len(decoded(write(tmp_path / "one.mp4", range(1)))) == 1
    with VideoWriter(tmp_path / "none.mp4"):
        pass
    assert not (tmp_path / "none.mp4").exists()


def test_time_must_go_on(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as video:
        video.write(numbered_image(0), 40 * MS)
        with pytest.raises(InputError, match="expected a time after"):
            video.write(numbered_image(1), 40 * MS)
    with pytest.raises(InputError, match="closed"):
        video.write(numbered_image(1), 80 * MS)


def test_an_exception_discards_and_keeps_the_older_video(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    before = path.read_bytes()
    with pytest.raises(RuntimeError), VideoWriter(path) as video:  # noqa: PT012  what it does first is the point
        for number in range(4):
            video.write(numbered_image(number), number * 40 * MS)
        raise RuntimeError
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


_ENDLESS = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from roadmask.streaming.sinks.video_writer import VideoWriter

video = VideoWriter(Path(sys.argv[1]), preset="ultrafast")
noise = np.random.default_rng(0)
for number in count():
    video.write(noise.integers(0, 255, (96, 160, 3), np.uint8), number * 40_000_000)
"""


@pytest.mark.parametrize("older", [False, True])
def test_a_killed_run_leaves_no_broken_video(tmp_path: Path, older: bool) -> None:
    path = tmp_path / "a.mp4"
    if older:
        write(path)
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stderr=subprocess.DEVNULL)
    partial = tmp_path / "a.mp4.partial"
    deadline = time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size > 50_000):
        assert process.poll() is None, "the writer ended by itself"
        assert time.monotonic() < deadline, "the writer never got going"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists() == older
    if older:
        assert len(decoded(path)) == 6
    # The next run is not disturbed by what is left.
    assert len(decoded(write(path, range(9)))) == 9
    assert not partial.exists()


class TestRefused:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not exist; create it first"):
            VideoWriter(tmp_path / "nowhere" / "a.mp4")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="got the folder"):
            require_writable(tmp_path)

    def test_other_format(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"ends in \.mp4"):
            VideoWriter(tmp_path / "a.avi")

    def test_closed_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "touch", refuse)  # permissions do not stop root, who may run the tests
        with pytest.raises(InputError, match="Permission denied"):
            VideoWriter(tmp_path / "a.mp4")

    def test_a_check_leaves_nothing_behind(self, tmp_path: Path) -> None:
        assert require_writable(tmp_path / "a.mp4") == tmp_path / "a.mp4"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
    def test_full_disk(self, tmp_path: Path) -> None:
        video = VideoWriter(tmp_path / "a.mp4", preset="ultrafast")
        (tmp_path / "a.mp4.partial").symlink_to("/dev/full")
        noise = np.random.default_rng(0)
        with pytest.raises(StoreError, match="the disk is not full"):  # noqa: PT012  it may take several images, or the end
            for number in range(200):
                video.write(noise.integers(0, 255, (96, 160, 3), np.uint8), number * 40 * MS)
            video.close()
        assert not (tmp_path / "a.mp4").exists()
        assert not (tmp_path / "a.mp4.partial").exists()
