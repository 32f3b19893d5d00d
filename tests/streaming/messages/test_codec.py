"""`roadmask_msgs/InstanceArray`: equal bytes from three writers, and errors for every damage."""

from __future__ import annotations

import math
import re
import shutil
import struct
import subprocess
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_util
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from roadmask.streaming.messages.cdr import MessageFormatError
from roadmask.streaming.messages.codec import decode, encode
from roadmask.streaming.messages.fields import (
    DEFINITIONS,
    FrameCount,
    InstanceArray,
    InstanceMessage,
    LostTrackMessage,
    RangeReason,
    Reason,
    Status,
)
from support.messages import damaged, random_message

TYPES = {"FrameCount": FrameCount, "Instance": InstanceMessage, "LostTrack": LostTrackMessage}


def definition(name: str) -> str:
    return (DEFINITIONS / "msg" / f"{name}.msg").read_text(encoding="utf-8")


def declared(name: str) -> list[tuple[str, str]]:
    """Type and name of every field in a .msg file."""
    return re.findall(r"^([\w/]+(?:\[\])?) ([a-z_]+)$", definition(name), re.MULTILINE)


def as_ros(store: Any, message: Any) -> Any:
    """The message in the types that rosbags made of the .msg files."""
    if isinstance(message, list):
        return [as_ros(store, each) for each in message]
    if isinstance(message, bytes):
        return np.frombuffer(message, np.uint8)
    if not is_dataclass(message):
        return message
    values = {each.name: as_ros(store, getattr(message, each.name)) for each in fields(message)}
    if not isinstance(message, InstanceArray):
        (name,) = (name for name, kind in TYPES.items() if isinstance(message, kind))
        return store.types[f"roadmask_msgs/msg/{name}"](**values)
    times = []
    for key in ("stamp_ns", "processed_ns"):
        seconds, nanoseconds = divmod(values.pop(key), 10**9)
        times.append(store.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds))
    header = store.types["std_msgs/msg/Header"](stamp=times[0], frame_id=values.pop("frame_id"))
    return store.types["roadmask_msgs/msg/InstanceArray"](header=header, processed=times[1], **values)


def test_the_bytes_are_those_of_another_serializer_made_from_the_definitions() -> None:
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name in ("FrameCount", "Instance", "LostTrack", "InstanceArray"):
        store.register(get_types_from_msg(definition(name), f"roadmask_msgs/msg/{name}"))
    for seed in range(500):
        message = random_message(seed)
        expected = bytes(store.serialize_cdr(as_ros(store, message), "roadmask_msgs/msg/InstanceArray"))
        assert encode(message) == expected, seed


def test_messages_come_back() -> None:
    for seed in range(100):
        message = random_message(seed)
        data = encode(message)
        again = decode(data)
        assert encode(again) == data
        assert (again.sequence, again.camera, again.lost == message.lost) == (
            message.sequence,
            message.camera,
            all(not math.isnan(value) for lost in message.lost for value in (lost.x, lost.y, lost.width, lost.height)),
        )
        assert [one.mask for one in again.instances] == [one.mask for one in message.instances]


def decoded_or_error(data: bytes) -> InstanceArray | str:
    try:
        return decode(data)
    except MessageFormatError as error:
        return str(error)


def test_damage_gives_an_error_and_never_a_crash() -> None:
    found = [decoded_or_error(damaged(encode(random_message(seed)), seed)) for seed in range(1000)]
    errors = [each for each in found if isinstance(each, str)]
    assert len(errors) > 300
    assert all("expected" in each for each in errors)
    for each in found:
        if isinstance(each, InstanceArray):  # flipped numbers and letters are another message
            encode(each)


def test_errors_say_what_came() -> None:
    data = encode(random_message(3))
    with pytest.raises(MessageFormatError, match=r"expected a CDR message .*, got 00 00 00 00"):
        decode(b"\0\0\0\0")
    with pytest.raises(MessageFormatError, match="expected the end of the message, got 8 more bytes"):
        decode(data + bytes(8))
    with pytest.raises(MessageFormatError, match=r"expected version 1 .*, got 7"):
        decode(encode(InstanceArray(schema_version=7)))
    with pytest.raises(MessageFormatError, match="does not fit its field"):
        encode(InstanceArray(height=-1))


def test_definitions_and_objects_have_the_same_fields() -> None:
    for name, kind in TYPES.items():
        assert [field for _, field in declared(name)] == [each.name for each in fields(kind)]
    top = [field for _, field in declared("InstanceArray")]
    assert top[0] == "header"
    renamed = {"header": ["stamp_ns", "frame_id"], "processed": ["processed_ns"]}
    expanded = [each for field in top for each in renamed.get(field, [field])]
    assert expanded == [each.name for each in fields(InstanceArray)]


def test_every_field_and_constant_is_documented() -> None:
    for name in (*TYPES, "InstanceArray"):
        lines = definition(name).splitlines()
        for before, line in pairwise(lines):
            if line and not line.startswith("#") and "SCHEMA_VERSION=" not in line:
                assert before.startswith("# "), f"{name}: {line}"


def test_constants_are_the_same_everywhere() -> None:
    header = (DEFINITIONS / "include" / "roadmask_msgs" / "instance_array.hpp").read_text(encoding="utf-8")
    text = definition("InstanceArray") + definition("Instance")
    for prefix, kind in (("STATUS", Status), ("REASON", Reason), ("RANGE", RangeReason)):
        found = {name: int(value) for name, value in re.findall(rf"{prefix}_(\w+)=(\d+)", text)}
        assert found == {each.name: each.value for each in kind}
        for name, value in found.items():
            assert f"{prefix}_{name} = {value}" in header


def test_idl_has_the_fields_of_the_definitions() -> None:
    idl = (DEFINITIONS / "idl" / "roadmask_msgs.idl").read_text(encoding="utf-8")
    for name in (*TYPES, "InstanceArray"):
        (body,) = re.findall(rf"struct {name}_ \{{(.*?)\}};", idl, re.DOTALL)
        assert re.findall(r"(\w+)_;", body) == [field for _, field in declared(name)]


def fnv(data: bytes) -> int:
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def cpp_program(folder: Path, *options: str) -> Path:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++: apt-get install g++")
    program = folder / "round_trip"
    source = Path(__file__).with_name("round_trip.cpp")
    warnings = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
    command = [compiler, *warnings, *options, f"-I{DEFINITIONS / 'include'}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def run_cpp(program: Path, messages: list[bytes]) -> list[str]:
    path = program.with_suffix(".bin")
    path.write_bytes(b"".join(struct.pack("<I", len(each)) + each for each in messages))
    result = subprocess.run([str(program), str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == len(messages)
    return lines


@pytest.mark.ci
def test_the_cpp_header_reads_writes_and_expands_under_address_sanitizer(tmp_path: Path) -> None:
    program = cpp_program(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    check_cpp(program, whole=500, broken=1000)


@pytest.mark.bars
def test_the_cpp_header_survives_ten_thousand_damaged_messages(tmp_path: Path) -> None:
    program = cpp_program(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    check_cpp(program, whole=0, broken=10_000)


def check_cpp(program: Path, whole: int, broken: int) -> None:
    messages = [random_message(seed) for seed in range(whole)]
    for message, line in zip(messages, run_cpp(program, [encode(each) for each in messages]), strict=True):
        state, written, *masks = line.split()
        assert (state, int(written, 16)) == ("ok", fnv(encode(message)))
        for one, seen in zip(message.instances, masks, strict=True):
            if not one.mask:
                assert seen == "damaged"
                continue
            image = mask_util.decode({"size": [message.height, message.width], "counts": one.mask})
            inside, pixels = seen.split(":")
            assert (int(inside), int(pixels, 16)) == (image.sum(), fnv(np.ascontiguousarray(image).tobytes()))
    spoiled = [damaged(encode(random_message(seed % 997)), seed) for seed in range(broken)]
    for data, line in zip(spoiled, run_cpp(program, spoiled), strict=True):
        found = decoded_or_error(data)
        if isinstance(found, InstanceArray):
            assert line.startswith("ok")
        else:
            assert line.startswith("error") or "UTF-8" in found
