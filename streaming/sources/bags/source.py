"""One camera of a bag as a source of frames."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
from av.codec.context import CodecContext

from roadmask.engines.errors import SourceError
from roadmask.engines.segmenter import Image
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.bags.bag import bag_content, read_messages
from roadmask.streaming.sources.bags.cameras import camera_info_of, cameras_in, no_camera, topics_of
from roadmask.streaming.sources.bags.messages import (
    COMPRESSED,
    IMAGE_TYPES,
    VIDEO,
    CameraMessage,
    MessageError,
    decode_image_message,
)
from roadmask.streaming.sources.bags.pixels import compressed_to_rgb, raw_to_rgb
from roadmask.streaming.sources.bags.raw import RawMessage
from roadmask.streaming.sources.colour import RgbConverter
from roadmask.streaming.sources.decoder import DecodedFrame, PacketDecoder
from roadmask.streaming.sources.files import identify
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource
from roadmask.streaming.sources.timeline import Timeline

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

_CODECS = {"h264": "h264", "avc": "h264", "h265": "hevc", "hevc": "hevc", "av1": "av1", "vp9": "vp9"}
"""Format of a `CompressedVideo` in lower case -> FFmpeg's name of its codec."""
_UNIX_FROM_NS = 1_000_000_000 * 1_000_000_000
"""Stamps below this, in 2001, count from the start of a simulation or of a computer, not from 1970."""
_DEFAULT_PERIOD_NS = 100_000_000
_log = logging.getLogger(__name__)

Decoded = tuple[int | None, str, Image | str]
"""Stamp of a message in nanoseconds, the frame id, and its image or why it has none."""


class BagSource(BaseSource):
    """The images of one topic of a bag, in the order in which they were recorded.

    Timestamps are the stamps in the headers of the messages. Where no message of the topic has one, they are the times
    at which the messages were recorded. A stamp that is not later than the one before it is moved, see `Timeline`. An
    image of another size begins a new epoch. A message that cannot be decoded gives a `LostFrame`.

    Args:
        camera: name of the camera.
        paths: files of the bag in their order.
        topics: the topic of the camera. If empty, the topic after which the camera is named, or the only one.

    Raises:
        SourceError: the bag cannot be read, has no such camera or several, or none of its images can be decoded.
    """

    def __init__(self, camera: str, paths: Sequence[Path], topics: Sequence[str] = ()) -> None:
        self.camera = camera
        self._paths = tuple(paths)
        self._content = bag_content(self._paths)
        self._topic = self._only_topic(topics)
        self.captured = 0
        self.frames_expected: int | None = self._topic.messages
        self._stamped = self._topic.last_stamp_ns > 0
        first_ns, last_ns = self._topic.first_ns, self._topic.last_ns
        if self._stamped:
            first_ns, last_ns = self._topic.first_stamp_ns, self._topic.last_stamp_ns
        periods = self._topic.messages - 1
        self.fps: float | None = periods * 1e9 / (last_ns - first_ns) if last_ns > first_ns and periods > 0 else None
        self.clock: Clock = "unix" if last_ns >= _UNIX_FROM_NS else "monotonic"
        self._frame_id, self._size = self._probe()

    def describe(self) -> dict[str, Any]:
        """Returns the files, the topic, its type and frame id, and the camera's `CameraInfo` if there is one."""
        info = camera_info_of(self._content, self._topic.name)
        return {
            "kind": "bag",
            "files": [identify(path) for path in self._paths],
            "topic": self._topic.name,
            "type": self._topic.type,
            "frame_id": self._frame_id,
            "image_size": list(self._size),
            **({"camera_info": info} if info else {}),
        }

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Reads the bag from its beginning."""
        self.require_open()
        self.captured = 0
        period_ns = round(1e9 / self.fps) if self.fps else _DEFAULT_PERIOD_NS
        timeline = Timeline(period_ns)
        epoch, size, moved, failed = 0, self._size, 0, False
        for index, (stamp_ns, _, image) in enumerate(self._decoded()):
            self.require_open()
            self.captured += 1
            if isinstance(image, str):
                if not failed:
                    _log.warning("camera %s, %s: %s; it counts as failed", self.camera, self._topic.name, image)
                failed = True
                yield LostFrame(self.camera, epoch, index, stamp_ns)
                continue
            timestamp_ns = timeline.place(stamp_ns)
            moved += timestamp_ns != stamp_ns
            if image.shape[:2] != size:
                epoch, size = epoch + 1, (image.shape[0], image.shape[1])
            yield Frame(self.camera, epoch, index, timestamp_ns, self.clock, image)
        if moved:
            _log.warning("camera %s: %d stamps repeat or go back, and were moved", self.camera, moved)

    def _only_topic(self, topics: Sequence[str]) -> Any:
        cameras = cameras_in(self._content, topics)
        named = [each for each in cameras if each.name == self.camera]
        if not cameras:
            raise SourceError(no_camera(self._paths[0], self._content))
        if len(cameras) > 1 and not named:
            listed = ", ".join(each.topic.name for each in cameras)
            raise SourceError(
                f"camera {self.camera!r} would be {len(cameras)} topics of {self._paths[0]} ({listed}): choose one, as "
                f"in '{self.camera}={self._paths[0]}?topic={cameras[0].topic.name}', or name no camera."
            )
        return (named or cameras)[0].topic

    def _probe(self) -> tuple[str, tuple[int, int]]:
        """Returns frame id, height and width of the first image."""
        why = ""
        for _, frame_id, image in self._decoded():
            if not isinstance(image, str):
                return frame_id, (image.shape[0], image.shape[1])
            why = why or image
        raise SourceError(
            f"cannot decode any of the {self._topic.messages} images of {self._topic.name} in {self._paths[0]}: {why}. "
            "Record it again, or choose other topics with --topic."
        )

    def _messages(self) -> Iterator[tuple[RawMessage, CameraMessage | str]]:
        for raw in read_messages(self._paths):
            if raw.topic != self._topic.name:
                continue
            try:
                yield raw, decode_image_message(raw)
            except MessageError as error:
                yield raw, str(error)

    def _stamp(self, raw: RawMessage, message: CameraMessage) -> int:
        unset = not self._stamped or (message.stamp_ns == 0 and self.clock == "unix")
        return raw.log_ns if unset else message.stamp_ns

    def _decoded(self) -> Iterator[Decoded]:
        if IMAGE_TYPES[self._topic.type] == VIDEO:
            yield from self._video(self._messages())
            return
        to_rgb = compressed_to_rgb if IMAGE_TYPES[self._topic.type] == COMPRESSED else raw_to_rgb
        for raw, message in self._messages():
            if isinstance(message, str):
                yield None, "", message
                continue
            try:
                image: Image | str = to_rgb(message)
            except MessageError as error:
                image = str(error)
            yield self._stamp(raw, message), message.frame_id, image

    def _video(self, messages: Iterable[tuple[RawMessage, CameraMessage | str]]) -> Iterator[Decoded]:
        """Decodes the packets of a video, one in each message and without reordering, as Foxglove requires."""
        decoder: PacketDecoder | None = None
        to_rgb: RgbConverter | None = None
        waiting: dict[int, tuple[int, str]] = {}

        def given(items: Iterable[Any]) -> Iterator[Decoded]:
            for item in items:
                if item.number not in waiting:
                    continue
                stamp_ns, frame_id = waiting.pop(item.number)
                if isinstance(item, DecodedFrame) and to_rgb is not None:
                    yield stamp_ns, frame_id, to_rgb(item.frame)[0]
                else:
                    yield stamp_ns, frame_id, "a video packet gave no image"

        begun = 0
        for count, (raw, message) in enumerate(messages):
            if isinstance(message, str):
                yield None, "", message
                continue
            if decoder is None or to_rgb is None:
                codec = _CODECS.get(message.encoding.strip().lower())
                if codec is None:
                    yield self._stamp(raw, message), message.frame_id, f"video in {message.encoding!r} is not read"
                    continue
                context = cast("VideoCodecContext", CodecContext.create(codec, "r"))
                decoder, to_rgb = PacketDecoder(context, reread_end=False), RgbConverter(codec)
            if not message.data:
                yield self._stamp(raw, message), message.frame_id, "a message has no video packet"
                continue
            packet = av.Packet(bytes(message.data))
            packet.pts = count
            before = decoder.frames
            items = decoder.decode(cast("Any", packet))
            if decoder.frames > before:  # not parameters alone, or the second field of a frame
                waiting[begun] = self._stamp(raw, message), message.frame_id
                begun += 1
            yield from given(items)
        if decoder is not None:
            yield from given(decoder.finish())


def open_bag(request: SourceRequest) -> BagSource:
    """Opens one camera of a bag, `drive.mcap?topic=/front/image_raw`.

    Raises:
        SourceError: see `BagSource`.
    """
    return BagSource(request.camera, request.paths, topics_of(request.query, " ".join(request.specs)))
