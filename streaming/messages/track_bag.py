"""An MCAP file of tracks: three topics for each camera."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from mcap.writer import CompressionType, Writer

from roadmask.engines.errors import InputError, StoreError
from roadmask.streaming.messages.codec import encode
from roadmask.streaming.messages.definitions import ANNOTATIONS, DETECTIONS, INSTANCE_ARRAY, ros2_schema
from roadmask.streaming.messages.fields import InstanceArray
from roadmask.streaming.messages.viewers import detection_array, image_annotations
from roadmask.streaming.sinks.drawing import track_colour

CHUNK_BYTES = 256 * 1024
"""Bytes of messages in a chunk: what a killed run loses at most."""


class TrackBag:
    """Writes `NAMESPACE/roadmask/instances`, `.../detections` and `.../annotations` for each camera.

    Log and publish times are the stamps of the messages, so the same tracks give the same bytes. Every chunk is handed
    to the operating system when it is full; a file without its end opens with what is whole.

    Args:
        path: the file, which must not exist.

    Raises:
        InputError: something exists at the path.
        StoreError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("xb")
        except FileExistsError as error:
            raise InputError(f"{path} already exists: choose another name, or remove it first.") from error
        except OSError as error:
            raise self._refused(error) from error
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="roadmask")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def write(self, namespace: str, message: InstanceArray) -> None:
        """Writes the tracks of one frame.

        Args:
            namespace: beginning of the topics, such as `/camera/front`.
            message: the tracks.

        Raises:
            StoreError: the file cannot be written.
        """
        colours = [track_colour(one.track_id) for one in message.instances]
        for name, kind, data in (
            ("instances", INSTANCE_ARRAY, encode(message)),
            ("detections", DETECTIONS, detection_array(message)),
            ("annotations", ANNOTATIONS, image_annotations(message, colours)),
        ):
            time_ns = max(message.stamp_ns, 0)
            channel = self._channel(f"{namespace}/roadmask/{name}", kind)
            try:
                self._writer.add_message(channel, time_ns, data, time_ns, message.sequence & 0xFFFFFFFF)
                self._file.flush()  # nothing to do unless a chunk was written
            except OSError as error:
                raise self._refused(error) from error

    def close(self) -> None:
        """Writes the index and closes the file; may be called again.

        Raises:
            StoreError: the file cannot be written.
        """
        if self._file.closed:
            return
        try:
            self._writer.finish()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _channel(self, topic: str, kind: str) -> int:
        if topic not in self._channels:
            if kind not in self._schemas:
                self._schemas[kind] = self._writer.register_schema(kind, "ros2msg", ros2_schema(kind).encode())
            self._channels[topic] = self._writer.register_channel(topic, "cdr", self._schemas[kind])
        return self._channels[topic]

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write to {self._path}: {error.strerror or error}. Free space, or choose another place."
        )
