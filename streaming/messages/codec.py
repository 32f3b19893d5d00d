"""Writes and reads `roadmask_msgs/InstanceArray` as CDR, byte for byte as ROS 2 does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadmask.streaming.messages.cdr import CdrReader, CdrWriter, MessageFormatError
from roadmask.streaming.messages.fields import (
    SCHEMA_VERSION,
    FrameCount,
    InstanceArray,
    InstanceMessage,
    LostTrackMessage,
)

_INSTANCE = "QQHBBB" + 15 * "f"
_LOST = "QQHffff"
_INSTANCE_MIN, _LOST_MIN, _COUNT_MIN = 89, 41, 13
"""Minimum sizes of elements in bytes: their numbers, and the lengths of their texts and masks."""


def encode(message: InstanceArray) -> bytes:
    """Returns a message as CDR.

    Raises:
        MessageFormatError: a value does not fit its field.
    """
    try:
        return _encoded(message)
    except Exception as error:  # struct names neither the field nor its range
        raise MessageFormatError(f"a value does not fit its field in roadmask_msgs/InstanceArray: {error}.") from error


def decode(data: bytes | memoryview) -> InstanceArray:
    """Returns the message in CDR bytes.

    Raises:
        MessageFormatError: the bytes are damaged, or are another message or another version of it.
    """
    reader = CdrReader(data)
    stamp = reader.numbers("iI")
    frame_id = reader.text()
    (version,) = reader.numbers("H")
    if version != SCHEMA_VERSION:
        raise MessageFormatError(
            f"expected version {SCHEMA_VERSION} of roadmask_msgs/InstanceArray, got {version}: use the roadmask that "
            "wrote the message, or check its type."
        )
    camera, model = reader.text(), reader.text()
    processed = reader.numbers("iI")
    values: Sequence[Any] = (*reader.numbers("Q"), *reader.numbers("III"), *reader.numbers("B"), *reader.numbers("I"))
    sequence, epoch, height, width, status, reasons = values
    captured, stored = reader.numbers("QQ")
    message = InstanceArray(
        _nanoseconds(stamp),
        frame_id,
        int(version),
        camera,
        model,
        _nanoseconds(processed),
        sequence,
        epoch,
        height,
        width,
        status,
        reasons,
        int(captured),
        int(stored),
        reader.sequence(lambda: _read_count(reader), _COUNT_MIN),
        reader.sequence(lambda: _read_count(reader), _COUNT_MIN),
        reader.sequence(lambda: _read_instance(reader), _INSTANCE_MIN),
        reader.sequence(lambda: _read_lost(reader), _LOST_MIN),
    )
    reader.end()
    return message


def _encoded(message: InstanceArray) -> bytes:
    writer = CdrWriter()
    writer.numbers("iI", *divmod(message.stamp_ns, 1_000_000_000))
    writer.text(message.frame_id)
    writer.numbers("H", message.schema_version)
    writer.text(message.camera)
    writer.text(message.model)
    writer.numbers("iI", *divmod(message.processed_ns, 1_000_000_000))
    writer.numbers("Q", message.sequence)
    writer.numbers("III", message.epoch, message.height, message.width)
    writer.numbers("B", message.status)
    writer.numbers("I", message.reasons)
    writer.numbers("QQ", message.captured, message.stored)
    for counts in (message.dropped, message.failed):
        writer.numbers("I", len(counts))
        for each in counts:
            writer.text(each.reason)
            writer.numbers("Q", each.count)
    writer.numbers("I", len(message.instances))
    for one in message.instances:
        writer.numbers(
            _INSTANCE,
            one.track_id,
            one.age_ns,
            one.category_id,
            one.state,
            one.range_reason,
            one.in_path,
            one.score,
            one.x,
            one.y,
            one.width,
            one.height,
            one.velocity_x,
            one.velocity_y,
            one.distance,
            one.distance_sigma,
            one.lateral,
            one.lateral_sigma,
            one.closing_speed,
            one.closing_speed_sigma,
            one.time_to_contact,
            one.time_to_contact_sigma,
        )
        writer.text(one.category)
        writer.octets(one.mask)
    writer.numbers("I", len(message.lost))
    for lost in message.lost:
        box = (lost.x, lost.y, lost.width, lost.height)
        writer.numbers(_LOST, lost.track_id, lost.unseen_ns, lost.category_id, *box)
        writer.text(lost.category)
    return writer.finish()


def _nanoseconds(time: tuple[int | float, ...]) -> int:
    seconds, nanoseconds = time
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _read_count(reader: CdrReader) -> FrameCount:
    reason = reader.text()
    (count,) = reader.numbers("Q")
    return FrameCount(reason, int(count))


def _read_instance(reader: CdrReader) -> InstanceMessage:
    values: Any = (*reader.numbers(_INSTANCE), reader.text(), reader.octets())
    return InstanceMessage(*values)


def _read_lost(reader: CdrReader) -> LostTrackMessage:
    values: Any = (*reader.numbers(_LOST), reader.text())
    return LostTrackMessage(*values)
