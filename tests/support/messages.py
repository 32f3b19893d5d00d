"""Random `InstanceArray` messages, and damage done to them."""

from __future__ import annotations

import random
import struct
from dataclasses import fields

import numpy as np
from pycocotools import mask as mask_util

from roadmask.streaming.messages.fields import FrameCount, InstanceArray, InstanceMessage, LostTrackMessage

_NAMES = ("", "a", "car", "person", "Straße", "交通", "traffic light")


def random_message(seed: int, instances: int | None = None, image_size: tuple[int, int] | None = None) -> InstanceArray:
    draw = random.Random(seed)  # noqa: S311 - not a secret
    height, width = image_size or (draw.randrange(1, 40), draw.randrange(1, 60))
    count = draw.randrange(6) if instances is None else instances

    def counts() -> list[FrameCount]:
        return [FrameCount(draw.choice(_NAMES), draw.getrandbits(64)) for _ in range(draw.randrange(3))]

    return InstanceArray(
        stamp_ns=draw.randrange(-(2**31) * 10**9, 2**31 * 10**9),
        frame_id=draw.choice(_NAMES),
        camera=draw.choice(_NAMES),
        model=draw.choice(_NAMES),
        processed_ns=draw.randrange(2**31 * 10**9),
        sequence=draw.getrandbits(64),
        epoch=draw.getrandbits(32),
        height=height,
        width=width,
        status=draw.randrange(4),
        reasons=draw.getrandbits(7),
        captured=draw.getrandbits(64),
        stored=draw.getrandbits(64),
        dropped=counts(),
        failed=counts(),
        instances=[_instance(draw, height, width) for _ in range(count)],
        lost=[_lost(draw) for _ in range(draw.randrange(3))],
    )


def damaged(data: bytes, seed: int) -> bytes:
    """Cuts a message, or changes some of its bytes."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    if draw.random() < 0.4:
        return data[: draw.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(draw.randrange(1, 5)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _instance(draw: random.Random, height: int, width: int) -> InstanceMessage:
    values = {each.name: _float(draw) for each in fields(InstanceMessage)[5:-2]}
    values["in_path"] = draw.choice((0, 1, 255))
    return InstanceMessage(
        track_id=draw.getrandbits(64),
        age_ns=draw.getrandbits(64),
        category_id=draw.getrandbits(16),
        state=draw.randrange(2),
        range_reason=draw.randrange(6),
        **values,  # type: ignore[arg-type]
        category=draw.choice(_NAMES),
        mask=_mask(draw, height, width),
    )


def _mask(draw: random.Random, height: int, width: int) -> bytes:
    if draw.random() < 0.1:
        return b""
    image = np.zeros((height, width), np.uint8, order="F")
    for _ in range(draw.randrange(4)):
        top, left = draw.randrange(height), draw.randrange(width)
        image[top : top + draw.randrange(1, height + 1), left : left + draw.randrange(1, width + 1)] ^= 1
    return bytes(mask_util.encode(image)["counts"])


def _lost(draw: random.Random) -> LostTrackMessage:
    box = [_float(draw) for _ in range(4)]
    return LostTrackMessage(draw.getrandbits(64), draw.getrandbits(64), draw.getrandbits(16), *box, draw.choice(_NAMES))


def _float(draw: random.Random) -> float:
    """A number that float32 holds exactly, or NaN."""
    if draw.random() < 0.1:
        return float("nan")
    return float(struct.unpack("<f", struct.pack("<f", draw.uniform(-2000, 2000)))[0])
