"""Runs that end by SIGKILL in the middle of something.

`python -m support.killable OUT STEP COUNT [ray]` is one run. `python -m support.killable serve` reads the same words,
tab-separated, from each line of standard input, runs that in a fork of its own, and prints the exit code: what a run
imports is imported once.

STEP is a kind of step in a commit and COUNT says at which of these, over the life of the process that writes, it and
the driver are killed. `random` counts steps of every kind, `none` runs to the end and writes how many steps of each
kind there were into OUT.steps.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording import drive as running
from roadmask.streaming.recording import recorder
from roadmask.streaming.recording.jobs import CameraJob
from roadmask.streaming.store import camera_writer, files, growing_array
from support.drives import bright_segmenter, scripted_job
from support.stores import SMALL

STEPS = ("write", "resize", "fsync", "rename", "attribute")
KILL, DRIVER = "ROADMASK_TEST_KILL", "ROADMASK_TEST_DRIVER"


def jobs() -> list[CameraJob]:
    script: dict[str, Any] = {
        "frames": 90,
        "lost": frozenset({5, 41, 42}),
        "poisoned": frozenset({23, 64}),
        "epoch_at": 50,
    }
    return [scripted_job("front", **script), scripted_job("rear", frames=40, fps=5.0)]


def arm() -> Counter[str]:
    """Makes this process kill itself, and the driver, at the step that the environment names; returns its counts."""
    wanted, _, at = os.environ.get(KILL, "none:0").partition(":")
    steps: Counter[str] = Counter()

    def counted(kind: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            steps[kind] += 1
            count = steps.total() if wanted == "random" else steps[wanted]
            if wanted in {kind, "random"} and count == int(at):
                if kind == "write":  # in the middle of it
                    Path.open(args[0], "wb").write(bytes(args[1])[: len(bytes(args[1])) // 2])
                for victim in (int(os.environ.get(DRIVER, os.getpid())), os.getpid()):
                    os.kill(victim, signal.SIGKILL)
            return operation(*args, **kwargs)

        return step

    for kind, owner, name in (
        ("write", Path, "write_bytes"),
        ("resize", growing_array.GrowingArray, "write"),
        ("fsync", files, "flush"),
        ("rename", Path, "replace"),
        ("attribute", camera_writer.CameraWriter, "_write_attributes"),
        ("frame", recorder.Recorder, "push"),  # not inside a commit: where a run spends its time
    ):
        setattr(owner, name, counted(kind, getattr(owner, name)))
    return steps


def main(out: str, step: str, count: str, *how: str) -> int:
    """Runs once; returns the exit code of a run that was not killed."""
    os.environ[KILL] = f"{step}:{count}"
    config = RunConfig(store=SMALL)
    running.build_segmenter = lambda _: bright_segmenter()  # type: ignore[assignment]
    steps: Counter[str] = Counter()
    if "ray" in how:
        import ray

        from support.shared_ray import patiently

        os.environ[DRIVER] = str(os.getpid())
        options = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 128 * 2**20}
        hook = {"worker_process_setup_hook": arm}
        patiently(lambda: ray.init(address="local", runtime_env=hook, **options), ray.shutdown)
    else:
        steps = arm()
    result = running.record_drive(jobs(), Path(out), config, on_ray="ray" in how, resume=True)
    Path(f"{out}.steps").write_text(json.dumps(steps))
    return result.exit_code


def serve() -> None:
    """Runs in forks what standard input asks for."""
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            code = 1
            try:
                code = main(*line.rstrip("\n").split("\t"))
            except Exception:
                import traceback

                traceback.print_exc()
            os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    arguments: Sequence[str] = sys.argv[1:]
    if arguments == ["serve"]:
        serve()
    else:
        sys.exit(main(*arguments))
