"""Reads one video file with FFmpeg."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType

from roadmask.engines.errors import SourceError
from roadmask.engines.segmenter import Image
from roadmask.streaming.sources.colour import UPRIGHT, Orientation, RgbConverter
from roadmask.streaming.sources.decoder import DecodedFrame, PacketDecoder
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


_CUT_OFF_NS = 1_000_000_000
"""Time by which frames may end before the recording, because sound often lasts longer."""


@dataclass(frozen=True, eq=False)
class VideoFrameAt:
    """A packet of a file after decoding."""

    media_ns: int | None
    """Nanoseconds since the start of the stream; None where the packet has no timestamp."""
    image: Image | None
    """(H, W, 3) RGB, upright; None where the packet gave no frame."""
    orientation: Orientation = UPRIGHT
    """How the image was turned to be upright."""


class VideoFile:
    """A recorded video.

    Time 0 is the start of the video stream that the container states, or else the first packet. Variable frame rates
    are kept.

    Args:
        path: video file.
        keep_probe: keep the file open after its first image was decoded here, and let the first `read` begin with that
            image, instead of decoding it again.

    Raises:
        SourceError: the file is missing, empty or not a video, this build of FFmpeg has no decoder for it, or none of
            its frames can be decoded.
    """

    def __init__(self, path: Path, *, keep_probe: bool = False) -> None:
        self.path = require_file(path)
        self._probed: Iterator[VideoFrameAt] | None = None
        with self._open() as container:
            stream = _video_stream(container, path)
            rate = stream.average_rate or stream.guessed_rate
            self.codec: str = stream.codec_context.name
            self.fps: Fraction | None = Fraction(rate) if rate else None
            self.period_ns = round(1_000_000_000 / (self.fps or _DEFAULT_FPS))
            self.frames_expected = _frames_expected(container, stream, self.fps)
            self.created = _creation_time(container, stream)
            """Creation time that the container states; None if it states none."""
        self.packets = 0
        """Number of packets that were read since the last call of `read`."""
        self.image_size, self.orientation = self._probe(keep_probe)

    @contextmanager
    def opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """Opens the file once more, for a caller that reads its packets in an order of its own."""
        with self._open() as container:
            yield container, _video_stream(container, self.path)

    def read(self) -> Generator[VideoFrameAt]:
        """Yields what each packet gave, in display order."""
        probed, self._probed = self._probed, None
        yield from self._decoded() if probed is None else probed

    def _decoded(self) -> Generator[VideoFrameAt]:
        self.packets = 0
        with self._open() as container:
            stream = _video_stream(container, self.path)
            reordered_avi = container.format.name == "avi" and stream.codec_context.has_b_frames
            stream.codec_context.thread_type = ThreadType.AUTO
            decoder = PacketDecoder(stream.codec_context, decode_order=bool(reordered_avi))
            to_rgb = RgbConverter(stream.codec_context.name)
            start, unit = stream.start_time, _time_base(stream) * 1_000_000_000
            end_ns = 0
            for item in decoder.decode_all(self._packets(container, stream)):
                self.packets = decoder.packets
                if start is None:
                    start = item.pts
                media_ns = None if item.pts is None else round((item.pts - (start or 0)) * unit)
                end_ns = max(end_ns, (media_ns or 0) + self.period_ns)
                image, orientation = to_rgb(item.frame) if isinstance(item, DecodedFrame) else (None, UPRIGHT)
                yield VideoFrameAt(media_ns, image, orientation)
            self.packets = decoder.packets
            self._warn_if_cut_off(container, stream, decoder.taken, end_ns)

    def _warn_if_cut_off(self, container: InputContainer, stream: VideoStream, taken: int, end_ns: int) -> None:
        if "mp4" in container.format.name:
            if taken < stream.frames:
                there = f"{taken} of the {stream.frames} frames in its index are there"
                _log.warning("%s was cut off: %s", self.path, there)
            return
        # Other containers do not state the number of frames, but some state their duration.
        stated_ns = (container.duration or 0) * 1000
        if stated_ns - end_ns > max(_CUT_OFF_NS, stated_ns // 20):
            there = f"it lasts {stated_ns / 1e9:.1f} s, its frames end at {end_ns / 1e9:.1f} s"
            _log.warning("%s was cut off: %s", self.path, there)

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        try:
            yield from container.demux(stream)
        except av.FFmpegError as error:
            _log.warning("%s is damaged: reading ends early (%s); what was read is kept", self.path, error)
        except IndexError:  # PyAV 18 fails at the end over streams that a damaged table added
            _log.warning("%s is damaged: its table of streams changes; what was read is kept", self.path)

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
        if not self.packets:
            raise SourceError(f"the video stream ({self.codec}) of {self.path} has no frames: nothing was recorded.")
        raise SourceError(
            f"cannot decode any of the {self.packets} frames in {self.path} ({self.codec}): "
            "the file is damaged, copy it again from where it was recorded."
        )

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


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    streams = [stream for stream in container.streams if stream.type == "video" and not _is_cover(stream)]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream of any kind"
        raise SourceError(f"expected a video stream in {path}, got {kinds}: the file has no images.")
    for stream in container.streams.video:
        if not _is_cover(stream) and stream.codec_context is not None:
            return stream
    raise SourceError(
        f"this build of FFmpeg has no decoder for {path}: convert it, "
        "for example with `ffmpeg -i IN -c:v libx264 OUT.mp4`."
    )


def _is_cover(stream: object) -> bool:
    return bool(getattr(stream, "disposition", 0) & av.stream.Disposition.attached_pic)


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
