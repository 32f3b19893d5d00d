"""Lists the files that `roadmask run` passes through between the command's function and the array write.

    python -m benchmarks.walk [SOURCE] [--max 11]

The command runs in this process on a few frames, with a profiler that looks at the call stack at four moments: when
the reader hands out a frame, when its image is handed to the segmenter, when its rows are put into the arrays of the
store, and when the arrays are written to disk. The walk is the files of roadmask on these stacks, from the command's
function down, each counted once and in the order of the first visit: what somebody reads to follow a frame from the
command to the disk. Parts that only compute and return (the decoder, the network, the tracker) are not on the way.

The exit code is 1 if the walk is longer than `--max`, or if a moment was never seen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import typer

import roadmask
from roadmask.cli.app import app
from roadmask.cli.run import run as command
from roadmask.streaming.frames import Frame
from roadmask.streaming.recording.reader import Reader
from roadmask.streaming.segmentation import segment_each
from roadmask.streaming.store.files import DurableStore
from roadmask.streaming.store.growing_array import GrowingArray

FRAMES = 4
"""Number of frames that are recorded."""
_ROOT = Path(roadmask.__file__).resolve().parent.parent


def walk(source: str) -> dict[str, list[tuple[str, str]]]:
    """Runs `roadmask run` on a source and returns the stack at each moment of the first frame.

    Returns:
        Moment -> (file, function) of each call of roadmask's from the command's function down, outermost first.
    """
    stacks: dict[str, list[tuple[str, str]]] = {}

    def look(frame: FrameType, event: str, argument: Any) -> None:
        moment = _moment(frame, event, argument)
        if moment is not None and moment not in stacks:
            stacks[moment] = _stack(frame)

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["run", source, "--out", f"{folder}/drive.zarr", "--max-frames", str(FRAMES), "--no-ray"]
        sys.setprofile(look)
        try:
            app(arguments, standalone_mode=False)
        except SystemExit as ended:
            if ended.code:
                raise
        finally:
            sys.setprofile(None)
    return stacks


_READ, _SEGMENT = "the reader hands out the frame", "the image is segmented"
_APPEND, _WRITE = "the rows are put into the arrays", "the arrays are written"
_CODES: dict[CodeType, tuple[str, str]] = {
    Reader.__iter__.__code__: ("return", _READ),
    segment_each.__code__: ("call", _SEGMENT),
    GrowingArray.append.__code__: ("call", _APPEND),
    DurableStore.write_file.__code__: ("call", _WRITE),
}
"""Function -> the event of the profiler, and the moment that it is."""


def _moment(frame: FrameType, event: str, argument: Any) -> str | None:
    wanted, moment = _CODES.get(frame.f_code, ("", ""))
    if event != wanted or (moment == _READ and not isinstance(argument, Frame)):
        return None
    if moment == _WRITE and frame.f_back is not None and frame.f_back.f_code is not GrowingArray.write.__code__:
        return None  # the first files of a store are its metadata
    return moment


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    while frame is not None:
        file = Path(frame.f_code.co_filename).resolve()
        if file.is_relative_to(_ROOT):
            calls.append((str(file.relative_to(_ROOT)), frame.f_code.co_qualname))
        if frame.f_code is command.__code__:
            return calls[::-1]
        frame = frame.f_back
    return []  # not called by the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the walk; returns 1 if it is too long."""
    parser = argparse.ArgumentParser(description="List the files between `roadmask run` and the array write.")
    parser.add_argument("source", nargs="?", default="synthetic:", help="source to record (default: the sample drive)")
    parser.add_argument("--max", type=int, default=11, help="exit 1 if the walk has more files (default: 11)")
    options = parser.parse_args(arguments)
    stacks = walk(options.source)
    files: list[str] = []
    for moment in (_READ, _SEGMENT, _APPEND, _WRITE):
        typer.echo(f"{moment}:")
        for file, function in stacks.get(moment, []):
            if file not in files:
                files.append(file)
            typer.echo(f"  {files.index(file) + 1:2}  {file}  {function}")
    typer.echo(f"{len(files)} files, at most {options.max} wanted")
    return 0 if len(stacks) == len(_CODES) and len(files) <= options.max else 1


if __name__ == "__main__":
    sys.exit(main())
