"""One camera on real servers and senders: what comes, what is counted, how it comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from benchmarks.cameras import RtspServer, UdpSender, Wire, free_port
from roadmask.evaluation.speed.clips import lengthened
from roadmask.streaming.sources.live import decoder
from roadmask.streaming.sources.live.address import parse_live_sources
from roadmask.streaming.sources.live.counts import Counts, CountsFile
from roadmask.streaming.sources.live.decoder import LiveDecoder
from roadmask.streaming.sources.live.protocol import CameraState
from roadmask.streaming.sources.live.reader import SILENT_S, LiveReader
from support.http_camera import http_camera
from support.video_factory import number_of, numbered_image, spoil_packets, write_clip
from support.watched_decoder import WatchedDecoder

Watch = Callable[[str], WatchedDecoder]


@pytest.fixture(scope="module")
def long_clip(clip: Path) -> Path:
    return lengthened(clip, clip.with_name("long.mp4"), 60)


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "small.mp4", range(25), size=(64, 96), gop=5, b_frames=0)


def test_a_replayed_file_keeps_its_pace_and_ends(watch: Watch, clip: Path) -> None:
    camera = watch(f"replay:{clip}")
    camera.until(lambda: camera.decoder.ended)
    assert [state for state, _ in camera.told] == [CameraState.CONNECTING, CameraState.LIVE, CameraState.ENDED]
    assert camera.file.read().captured == 25
    numbers = [number_of(each.image) for each in camera.images]
    assert numbers == [each.frame_index for each in camera.images]
    first, last = camera.images[0], camera.images[-1]
    assert last.timestamp_ns - first.timestamp_ns == pytest.approx(
        (last.frame_index - first.frame_index) * 40e6, abs=1e6
    )


def test_whoever_is_slow_gets_the_newest_image(tmp_path: Path, clip: Path) -> None:
    (address,) = parse_live_sources([f"replay:{clip}"])
    file = CountsFile(tmp_path / "counts", create=True)
    decoder = LiveDecoder(address, file, lambda *_: None)
    reading = threading.Thread(target=decoder.run)
    reading.start()
    reading.join()  # nobody asks until it is over
    newest = decoder.take(0)
    assert newest is not None
    assert number_of(newest[1].image) == 24
    counts = file.read()
    assert (counts.captured, counts.stale, counts.handed, counts.held) == (25, 24, 1, 0)


def test_a_decoder_goes_on_where_one_that_was_killed_stopped(watch: Watch, tmp_path: Path, clip: Path) -> None:
    file = CountsFile(tmp_path / "camera.counts", create=True)
    file.write(replace(file.read(), captured=10, stale=3, handed=4, held=3, epoch=2))
    before = file.read()
    camera = watch(f"replay:{clip}")
    camera.until(lambda: camera.decoder.ended)
    counts = file.read()
    assert counts.killed == 3  # what the one before held
    assert camera.images[0].frame_index >= 10
    assert camera.notes[0].number == before.handed + 1
    camera.handed_before = before.handed


@pytest.mark.ci
def test_rtsp(watch: Watch, gstreamer: None, clip: Path) -> None:
    with RtspServer(lengthened(clip, clip.with_name("four.mp4"), 4)) as server:
        camera = watch(server.url)
        camera.until(lambda: len(camera.images) >= 15)
        assert number_of(camera.images[-1].image) in range(25)
        assert camera.file.read().undecodable == 0
        # the clip ends, the camera does not: it is asked again
        camera.until(lambda: camera.file.read().reconnects == 1)
        assert camera.said(CameraState.RECONNECTING, "ended the stream")


@pytest.mark.ci
def test_an_rtsp_server_that_is_killed_and_comes_back(watch: Watch, gstreamer: None, long_clip: Path) -> None:
    server = RtspServer(long_clip)
    camera = watch(server.url)
    camera.until(lambda: len(camera.images) >= 5)
    server.close()
    camera.until(lambda: "refused" in str(camera.told[-2:]))
    assert camera.told_of(CameraState.REFUSED) is None
    with RtspServer(long_clip, server.port):
        seen = len(camera.images)
        camera.until(lambda: len(camera.images) > seen + 5)
    assert camera.images[-1].epoch == 0  # same size, same clock


@pytest.mark.ci
def test_a_frozen_rtsp_server_is_noticed_and_comes_back(watch: Watch, gstreamer: None, long_clip: Path) -> None:
    with RtspServer(long_clip) as server:
        camera = watch(server.url)
        camera.until(lambda: len(camera.images) >= 5)
        server.freeze()
        camera.until(lambda: camera.said(CameraState.RECONNECTING, "no data for"))
        server.thaw()
        seen = len(camera.images)
        camera.until(lambda: len(camera.images) > seen + 5)


@pytest.mark.ci
@pytest.mark.parametrize("line", ["down", "garbage"])
def test_a_bad_line_to_an_rtsp_server(watch: Watch, gstreamer: None, long_clip: Path, line: str) -> None:
    with RtspServer(long_clip) as server, Wire(server.port) as wire:
        camera = watch(f"rtsp://127.0.0.1:{wire.port}/camera")
        camera.until(lambda: len(camera.images) >= 5)
        wire.line = line  # type: ignore[assignment]
        camera.until(lambda: camera.told_of(CameraState.RECONNECTING) is not None)
        wire.line = "through"
        seen = len(camera.images)
        camera.until(lambda: len(camera.images) > seen + 5)


@pytest.mark.ci
def test_the_right_password_opens(watch: Watch, gstreamer: None, long_clip: Path) -> None:
    with RtspServer(long_clip, login=("eve", "correct-horse")) as server:
        camera = watch(f"rtsp://eve:correct-horse@127.0.0.1:{server.port}/camera")
        camera.until(lambda: len(camera.images) >= 3)


def test_udp_that_changes_its_size_starts_an_epoch(watch: Watch, clip: Path, small_clip: Path) -> None:
    port = free_port()
    camera = watch(f"udp://127.0.0.1:{port}")
    with UdpSender([clip, small_clip], port):
        camera.until(lambda: {each.image.shape[:2] for each in camera.images} == {(96, 160), (64, 96)})
    sizes: dict[int, set[tuple[int, ...]]] = {}
    for each in camera.images:
        sizes.setdefault(each.epoch, set()).add(each.image.shape[:2])
    assert list(sizes) == sorted(sizes)  # of an epoch that was short nothing may have been taken
    assert all(len(each) == 1 for each in sizes.values())
    assert len(sizes) >= 2


def test_udp_whose_clock_jumps_starts_an_epoch(watch: Watch, clip: Path) -> None:
    port = free_port()
    camera = watch(f"udp://127.0.0.1:{port}")
    with UdpSender([lengthened(clip, clip.with_name("five.mp4"), 5), clip], port, jump_s=1000):
        camera.until(lambda: bool(camera.images) and camera.images[-1].epoch >= 1)
    stamps = [each.timestamp_ns for each in camera.images]
    assert max(stamps) - min(stamps) < 30e9  # the jump is the stream's alone


def test_mjpeg_over_http(watch: Watch) -> None:
    jpegs = [cv2.imencode(".jpg", numbered_image(number)[:, :, ::-1])[1].tobytes() for number in range(8)]
    with http_camera(jpegs) as port:
        camera = watch(f"http://127.0.0.1:{port}/mjpeg?token=abracadabra")
        camera.until(lambda: len(camera.images) >= 5)
        assert {number_of(each.image) for each in camera.images} <= set(range(8))
    assert "abracadabra" not in repr(camera.told)


def test_mpeg_ts_over_http(watch: Watch, clip: Path, tmp_path: Path) -> None:
    stream = write_clip(tmp_path / "clip.ts", range(50), gop=5, b_frames=0).read_bytes()
    with http_camera([b""], stream) as port:
        camera = watch(f"http://127.0.0.1:{port}/ts")
        camera.until(lambda: len(camera.images) >= 1 and camera.file.read().captured >= 25)


def test_undecodable_packets_are_counted(watch: Watch, tmp_path: Path) -> None:
    path = spoil_packets(write_clip(tmp_path / "spoiled.mp4", range(20), gop=5, b_frames=0), [7])
    camera = watch(f"replay:{path}")
    camera.until(lambda: camera.decoder.ended)
    counts = camera.file.read()
    assert counts.captured == 20
    assert counts.undecodable >= 1


def test_a_stream_that_cannot_be_decoded_any_more_is_connected_anew(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "UNDECODABLE_S", 0.5)
    monkeypatch.setattr("roadmask.streaming.sources.decoder._decode", lambda *_: [])
    path = write_clip(tmp_path / "clip.ts", range(100), gop=5, b_frames=0)
    port = free_port()
    with UdpSender([path], port):
        camera = watch(f"udp://127.0.0.1:{port}")
        camera.until(lambda: camera.said(CameraState.RECONNECTING, "none of them can be decoded"))
    camera.until(lambda: camera.file.read().undecodable >= 32)


def test_it_stops_soon_when_told_to(watch: Watch, long_clip: Path) -> None:
    camera = watch(f"replay:{long_clip}")
    camera.until(lambda: len(camera.images) >= 3)
    camera.decoder.stop()
    begun = time.monotonic()
    camera.until(lambda: camera.decoder.ended)
    assert time.monotonic() - begun < 50, "the clip lasts longer"


def test_a_decoder_that_hangs_is_killed_and_its_frames_are_counted(tmp_path: Path, long_clip: Path) -> None:
    (address,) = parse_live_sources([f"replay:{long_clip}"])
    file = CountsFile(tmp_path / "counts", create=True)
    reader = LiveReader(address, file.path)
    try:
        while reader.next(1.0) is None:
            pass
        first = reader.status().decoder_pid
        os.kill(first, signal.SIGSTOP)  # FFmpeg that hangs in C looks like this
        reader._silent_s = 1.0  # no sooner: opening a file may take a busy machine as long
        deadline = time.monotonic() + 120
        while reader.status().decoder_pid == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        reader._silent_s = SILENT_S
        while (got := reader.next(1.0)) is None or got[0].frame_index < file.read().killed:
            assert time.monotonic() < deadline
        assert reader.status().restarts == 1
        counts = file.read()
        assert counts.killed >= 1
        assert counts.captured == counts.decided + counts.held
    finally:
        reader.close()


def test_the_end_waits_for_whoever_is_slow(tmp_path: Path, clip: Path) -> None:
    (address,) = parse_live_sources([f"replay:{clip}"])
    file = CountsFile(tmp_path / "counts", create=True)
    reader = LiveReader(address, file.path)
    try:
        deadline = time.monotonic() + 120
        while reader.status().state is not CameraState.ENDED:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        reader._silent_s = 0.5  # no sooner: opening a file may take a busy machine as long
        time.sleep(1.5)  # longer than a decoder may be silent while it reads
        while (last := reader.next(1.0)) is None:
            assert time.monotonic() < deadline
        assert number_of(last[1].image) == 24
        assert reader.next(1.0) is None
        status = reader.status()
        assert (status.ended, status.restarts) == (True, 0)
    finally:
        reader.close()


def test_the_counts_add_up_whenever_they_are_written(tmp_path: Path, clip: Path) -> None:
    class Checked(CountsFile):
        written = 0

        def write(self, counts: Counts) -> None:
            assert counts.captured == counts.decided + counts.held, counts
            self.written += 1
            super().write(counts)

    (address,) = parse_live_sources([f"replay:{clip}"])
    file = Checked(tmp_path / "counts", create=True)
    decoder = LiveDecoder(address, file, lambda *_: None)
    taking = threading.Thread(target=lambda: [decoder.take(0.05) for _ in range(10)])
    taking.start()
    decoder.run()  # raises what `write` raises
    taking.join()
    assert file.written > 50


def test_a_limited_camera_counts_what_it_leaves_out(watch: Callable[[str], WatchedDecoder]) -> None:
    """MJPEG: what is left out is not even decoded."""
    jpegs = [cv2.imencode(".jpg", numbered_image(number)[:, :, ::-1])[1].tobytes() for number in range(8)]
    with http_camera(jpegs, fps=50.0) as port:
        seen = watch(f"http://127.0.0.1:{port}/mjpeg")
        seen.until(lambda: len(seen.images) > 3)
        begun = time.monotonic()
        seen.decoder.limit(5.0)
        before, handed = seen.file.read(), len(seen.images)
        seen.until(lambda: seen.file.read().captured > before.captured + 100)
        after, later = seen.file.read(), len(seen.images)
        most = 5.0 * (time.monotonic() - begun) + 3  # 100 images take two seconds, or longer
    assert 0 < later - handed <= most
    assert after.thinned - before.thinned >= 100 - most
    assert after.captured == after.decided + after.held
    assert after.image_ns > before.image_ns  # a camera whose images are left out has not stalled
