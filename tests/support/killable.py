"""A run that ends by SIGKILL in the middle of something: `python -m support.killable OUT STEP COUNT [ray]`.

STEP is a kind of step in a commit and COUNT says at which of these, over the life of the process that writes, it and
the driver are killed. `random` counts steps of every kind, `none` runs to the end and prints how many steps of each
kind there were.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("write", "resize", "fsync", "rename", "attribute")
KILL, DRIVER = "ROADMASK_TEST_KILL", "ROADMASK_TEST_DRIVER"


def jobs() -> list[Any]:
    from support.drives import scripted_job

    script = {"frames": 90, "lost": frozenset({5, 41, 42}), "poisoned": frozenset({23, 64}), "epoch_at": 50}
    return [scripted_job("front", **script), scripted_job("rear", frames=40, fps=5.0)]


def arm() -> None:
    """Makes this process kill itself, and the driver, at the step that the environment names."""
    from roadmask.streaming.recording import recorder
    from roadmask.streaming.store import camera_writer, files, growing_array

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
    if wanted == "none":
        import atexit

        atexit.register(lambda: sys.stdout.write(json.dumps(steps)))


def main(out: Path, kill: str, on_ray: bool) -> int:
    from roadmask.streaming.config import RunConfig
    from roadmask.streaming.recording import drive as running
    from support.drives import bright_segmenter
    from support.stores import SMALL

    os.environ[KILL] = kill
    config = RunConfig(store=SMALL)
    running.build_segmenter = lambda _: bright_segmenter()  # type: ignore[assignment]
    if on_ray:
        import ray

        os.environ[DRIVER] = str(os.getpid())
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=128 * 2**20,
            runtime_env={"worker_process_setup_hook": arm},
        )
    else:
        arm()
    cameras = jobs()
    return running.record_drive(cameras, out, config, on_ray=on_ray, resume=True).exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), f"{sys.argv[2]}:{sys.argv[3]}", "ray" in sys.argv[4:]))
