"""Workers on a Ray cluster: each drive is a task that occupies some CPUs of its node.

Drives are spread over the nodes with free CPUs. Ray's own retries are off: when a node dies, the schedule submits its
drives again, so that the number of attempts is limited and shown in the report.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from roadmask.engines.errors import InputError
from roadmask.streaming.batch.drive_worker import DriveTask, record_task
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.workers import Died, Message, Progressed, rate_limited
from roadmask.streaming.ray_actors import own_signals
from roadmask.streaming.redaction import redact_address, redact_text


class _ProgressActor:
    """Actor to which the tasks report their progress, and from which they learn that they must stop.

    It runs on this machine, so that it does not die with a node.
    """

    def __init__(self) -> None:
        self._frames: dict[str, int] = {}
        self._stopping = False

    def report(self, drive: str, frames: int) -> bool:
        """Notes the number of recorded frames of a drive; returns whether its recording must stop."""
        self._frames[drive] = frames
        return self._stopping

    def taken(self) -> dict[str, int]:
        """Returns what was reported since the last call: drive -> number of recorded frames."""
        frames, self._frames = self._frames, {}
        return frames

    def stop(self) -> None:
        """Makes every later `report` return True."""
        self._stopping = True


def _record_on_node(task: DriveTask, progress: Any) -> DriveOutcome:
    stop = threading.Event()

    def report(frames: int) -> None:
        if ray.get(progress.report.remote(task.drive.name, frames)):
            stop.set()

    return record_task(task, stop, rate_limited(report))


class RayWorkers:
    """Workers that are tasks on a Ray cluster.

    Args:
        address: address of the cluster, or `auto`; ignored if this process is connected to a cluster already.
        cpus: number of CPUs of a node that each drive occupies.
        most: maximum number of drives at the same time; None uses all CPUs.

    Raises:
        InputError: there is no cluster at the address, or none of its nodes has enough CPUs.
    """

    def __init__(self, address: str, cpus: int, most: int | None = None) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            try:
                with own_signals():
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, RuntimeError, ValueError, RayError) as error:
                shown, why = redact_address(address), redact_text(str(error), [address])
                raise InputError(
                    f"no Ray cluster answers at {shown!r} ({why}): start one with `ray start --head`, or omit "
                    "--ray-address."
                ) from error
        self._cpus = cpus
        self._most = most
        self._running: dict[Any, str] = {}
        if not self._slots():
            found = _alive_cpus()
            self.close()
            raise InputError(
                f"expected a Ray node with at least {cpus} CPUs, got nodes with {found}: set --threads to fewer."
            )
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._progress: Any = ray.remote(_ProgressActor).options(num_cpus=0, scheduling_strategy=here).remote()
        self._record: Any = ray.remote(_record_on_node).options(
            num_cpus=cpus, max_retries=0, scheduling_strategy="SPREAD"
        )

    def _slots(self) -> int:
        slots = sum(cpus // self._cpus for cpus in _alive_cpus())
        return slots if self._most is None else min(slots, self._most)

    def free(self) -> int:
        """Returns how many more drives can be submitted now. Nodes may join and leave."""
        return self._slots() - len(self._running)

    def submit(self, task: DriveTask) -> None:
        """Submits a drive to a node with free CPUs."""
        self._running[self._record.remote(task, self._progress)] = task.drive.name

    def poll(self, seconds: float) -> list[Message]:
        """Returns new messages, after waiting for at most `seconds`."""
        messages: list[Message] = []
        if self._running:
            ended, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
            for answer in ended:
                drive = self._running.pop(answer)
                try:
                    messages.append(ray.get(answer))
                except RayError as error:
                    words = str(error).strip().splitlines()
                    messages.append(
                        Died(drive, redact_text(f"{type(error).__name__}: {words[-1] if words else 'no message'}"))
                    )
        running = set(self._running.values())
        for drive, frames in ray.get(self._progress.taken.remote()).items():
            if drive in running:
                messages.append(Progressed(drive, frames))
        return messages

    def stop(self) -> None:
        """Asks all recordings to stop."""
        ray.get(self._progress.stop.remote())

    def close(self) -> None:
        """Cancels all tasks."""
        for answer in self._running:
            ray.cancel(answer, force=True)
        self._running.clear()
        if self._own:
            ray.shutdown()


def cluster_cpus(address: str) -> list[int]:
    """Returns the number of CPUs of each node of a cluster.

    Raises:
        InputError: no cluster answers at the address.
    """
    workers = None if ray.is_initialized() else RayWorkers(address, 1)
    try:
        return _alive_cpus()
    finally:
        if workers is not None:
            workers.close()


def _alive_cpus() -> list[int]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]
