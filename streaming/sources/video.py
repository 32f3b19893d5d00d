"""Reads one video file with FFmpeg."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import ThreadType

from roadmask.engines.errors import SourceError
from roadmask.engines.segmenter import Image
from roadmask.streaming.sources.colour import UPRIGHT, Orientation, RgbConverter
from roadmask.streaming.sources.cut_off import bytes_stated
from roadmask.streaming.sources.decoder import MissingFrame, PacketDecoder
from roadmask.streaming.sources.files import require_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_FORMATS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,webm,yuv4mpegpipe"
)
"""Containers that hold images themselves; not playlists, which may name other files and hosts."""
_DEFAULT_FPS = 25
"""Frame rate of a recording that states neither times nor a rate."""
_log = logging.getLogger(__name__)

_STATES_DURATION = frozenset({"flv", "mxf"})
"""Containers that state how long they last, but no size."""
_UNREAD_SHARE = 0.1
"""Share of a file behind the last packet of its video track that is worth a warning."""
_CUT_OFF_NS = 1_000_000_000
"""Time by which frames and sound may end before the recording does."""


@dataclass(frozen=True, eq=False)
class VideoFrameAt:
    """A frame of a file after decoding."""

    media_ns: int | None
    """Nanoseconds since the start of the stream; None where the packet has no timestamp."""
    image: Image | None
    """(H, W, 3) RGB, upright; None where the frame is missing."""
    orientation: Orientation = UPRIGHT
    """How the image was turned to be upright."""
    missing: str = ""
    """Why the frame is missing, `decode` or `before_keyframe`; empty where it is there."""


class VideoFile:
    """A recorded video.

    Time 0 is the start of the video stream that the container states, or else the first packet. Variable frame rates
    are kept.

    Args:
        path: video file.
        track: which of its video tracks to read, counted from 1; as players do, the largest of the default ones if
            None.
        keep_probe: keep the file open after its first image was decoded here, and let the first `read` begin with that
            image, instead of decoding it again.

    Raises:
        SourceError: the file is missing, empty or not a video, it has no such track, this build of FFmpeg has no
            decoder for it, or none of its frames can be decoded.
    """

    def __init__(self, path: Path, *, track: int | None = None, keep_probe: bool = False) -> None:
        self.path = require_file(path)
        self._asked = track
        self._probed: Iterator[VideoFrameAt] | None = None
        with self._open() as container:
            stream = self._stream(container)
            tracks = video_tracks(container)
            self.track = 1 + tracks.index(stream)
            """Which of the video tracks of the file is read, counted from 1."""
            names = [_described(each, number) for number, each in enumerate(tracks, 1)]
            self.chosen = () if track or len(tracks) == 1 else (names.pop(self.track - 1), *names)
            """The video track that is read and those that are left out, described for people; empty if there are no
            others or this one was asked for."""
            rate = stream.average_rate or stream.guessed_rate
            self.codec: str = stream.codec_context.name
            self.fps: Fraction | None = Fraction(rate) if rate else None
            self.period_ns = round(1_000_000_000 / (self.fps or _DEFAULT_FPS))
            self.frames_expected = _frames_expected(container, stream, self.fps)
            self.created = _creation_time(container, stream)
            """Creation time that the container states; None if it states none."""
        self.captured = 0
        """Number of frames that were captured since the last call of `read`."""
        self._packets_read = self._last_byte = 0
        self.image_size, self.orientation = self._probe(keep_probe)

    @contextmanager
    def opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """Opens the file once more, for a caller that reads its packets in an order of its own."""
        with self._open() as container:
            yield container, self._stream(container)

    def read(self) -> Generator[VideoFrameAt]:
        """Yields each frame, in display order."""
        probed, self._probed = self._probed, None
        yield from self._decoded() if probed is None else probed

    def _decoded(self) -> Generator[VideoFrameAt]:
        self.captured = 0
        with self._open() as container:
            stream = self._stream(container)
            reordered_avi = container.format.name == "avi" and stream.codec_context.has_b_frames
            stream.codec_context.thread_type = ThreadType.AUTO
            decoder = PacketDecoder(stream.codec_context, decode_order=bool(reordered_avi))
            to_rgb = RgbConverter(stream.codec_context.name)
            start, unit = stream.start_time, _time_base(stream) * 1_000_000_000
            end_ns = 0
            for item in decoder.decode_all(self._packets(container, stream)):
                self.captured = decoder.frames
                if start is None:
                    start = item.pts
                media_ns = None if item.pts is None else round((item.pts - (start or 0)) * unit)
                end_ns = max(end_ns, (media_ns or 0) + self.period_ns)
                if isinstance(item, MissingFrame):
                    yield VideoFrameAt(media_ns, None, missing=item.reason)
                else:
                    yield VideoFrameAt(media_ns, *to_rgb(item.frame))
            self.captured = decoder.frames
            offset_ns = round((start or 0) * unit) - (container.start_time or 0) * 1000
            self._warn_if_cut_off(container, stream, end_ns + max(offset_ns, 0))

    def _warn_if_cut_off(self, container: InputContainer, stream: VideoStream, end_ns: int) -> None:
        stated = bytes_stated(self.path, container.format.name)
        if stated is not None:
            there = f"{_megabytes(self.path.stat().st_size)} of its {_megabytes(stated)} MB are there"
            if self._packets_read < stream.frames:
                there = f"{self._packets_read} of the {stream.frames} frames that it states are there"
            _log.warning("%s was cut off: %s", self.path, there)
        elif container.format.name == "mpegts" and self._last_byte < (1 - _UNREAD_SHARE) * container.size:
            read = f"its video track ends at {100 * self._last_byte // container.size} % of the file"
            _log.warning("%s: %s; what follows, such as another recording joined to it, is not read", self.path, read)
        elif container.format.name in _STATES_DURATION and container.duration:
            stated_ns = container.duration * 1000
            if stated_ns - max(end_ns, self._sound_end_ns()) > max(_CUT_OFF_NS, stated_ns // 20):
                there = f"it lasts {stated_ns / 1e9:.1f} s, its frames end at {end_ns / 1e9:.1f} s"
                _log.warning("%s was cut off: %s", self.path, there)

    def _sound_end_ns(self) -> int:
        """Returns when the last packet of the other streams ends, nanoseconds since the start of the file."""
        end_ns = 0
        with self._open() as container, suppress(av.FFmpegError, IndexError):
            start = Fraction(container.start_time or 0, av.time_base)
            for packet in container.demux([each for each in container.streams if each.type != "video"]):
                if packet.pts is not None and packet.time_base is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base - start
                    end_ns = max(end_ns, round(end * 1_000_000_000))
        return end_ns

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        self._packets_read = self._last_byte = 0
        try:
            for packet in container.demux(stream):
                self._packets_read += packet.size > 0 or packet.dts is not None
                self._last_byte = max(self._last_byte, (packet.pos or 0) + packet.size)
                yield packet
        except av.FFmpegError as error:
            _log.warning("%s is damaged: reading ends early (%s); what was read is kept", self.path, error)
        except IndexError:  # at the very end, PyAV 18 fails over streams that began on the way: nothing is missing
            _log.debug("%s has streams that began on the way", self.path)

    def _probe(self, keep: bool) -> tuple[tuple[int, int], Orientation]:
        items, read = self._decoded(), []
        for item in items:
            read.append(item)
            if item.image is not None:
                if keep:
                    self._probed = chain(read, items)
                else:
                    items.close()
                height, width = item.image.shape[:2]
                return (height, width), item.orientation
        if not self.captured:
            raise SourceError(f"the video stream ({self.codec}) of {self.path} has no frames: nothing was recorded.")
        raise SourceError(
            f"cannot decode any of the {self.captured} frames in {self.path} ({self.codec}): "
            "the file is damaged, copy it again from where it was recorded."
        )

    def _stream(self, container: InputContainer) -> VideoStream:
        tracks = video_tracks(container)
        if not tracks:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream of any kind"
            raise SourceError(f"expected a video stream in {self.path}, got {kinds}: the file has no images.")
        if self._asked is not None and self._asked > len(tracks):
            there = "one video track" if len(tracks) == 1 else f"{len(tracks)} video tracks"
            raise SourceError(f"{self.path} has no video track {self._asked}: it has {there}, counted from 1.")
        stream = best_track(tracks if self._asked is None else [tracks[self._asked - 1]])
        if stream is None:
            raise SourceError(
                f"this build of FFmpeg has no decoder for {self.path}: convert it, "
                "for example with `ffmpeg -i IN -c:v libx264 OUT.mp4`."
            )
        return stream

    def _open(self) -> InputContainer:
        try:
            return av.open(
                f"file:{self.path}",
                metadata_errors="replace",
                options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
            )
        except av.PermissionError as error:
            raise SourceError(f"no permission to read {self.path}: change its permissions.") from error
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(f"cannot read {self.path} as a video: {_diagnosis(self.path)}") from error


def video_tracks(container: InputContainer) -> list[VideoStream]:
    """Returns the video tracks of a file, without the still images that illustrate it."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams if stream.type == "video" and not stream.disposition & cover]
    return cast("list[VideoStream]", streams)


def best_track(tracks: Sequence[VideoStream]) -> VideoStream | None:
    """Returns the track that players show: the largest of the default ones; None if none can be decoded."""
    tracks = [track for track in tracks if track.codec_context is not None]
    default = [track for track in tracks if track.disposition & av.stream.Disposition.default]
    return max(default or tracks, key=lambda track: track.width * track.height, default=None)


def _described(track: VideoStream, number: int) -> str:
    context = track.codec_context
    return f"track {number}" if context is None else f"track {number} ({context.width} x {context.height})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}" if size >= 10**6 else f"{size / 1e6:.3f}"


def _frames_expected(container: InputContainer, stream: VideoStream, fps: Fraction | None) -> int | None:
    if stream.frames:
        return int(stream.frames)
    if fps is None:
        return None
    if stream.duration:
        return round(stream.duration * _time_base(stream) * fps)
    return round(container.duration * fps / av.time_base) if container.duration else None


def _creation_time(container: InputContainer, stream: VideoStream) -> datetime | None:
    text = container.metadata.get("creation_time") or stream.metadata.get("creation_time")
    if text is None:
        return None
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if created.tzinfo is None else created


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, av.time_base)


def _diagnosis(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        return f"it is no longer readable ({error.strerror})."
    if head[4:8] == b"ftyp":
        return (
            "its index (the MP4 'moov' box) is missing or damaged, as when the camera lost power while recording: "
            "repair it with `untrunc`, or copy it again."
        )
    if not head.strip(b"\0"):
        return "it begins with zeros only: the copy or the recording was not finished."
    if b"\0" not in head:
        try:
            head.decode()
        except UnicodeDecodeError:
            pass
        else:
            return "it is a text file."
    return "it is not a video container that roadmask reads (MP4, MOV, MKV, WebM, AVI, TS, ...)."
