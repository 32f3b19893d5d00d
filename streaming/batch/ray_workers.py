"""Workers on a Ray cluster: each drive is a task that takes some of the CPUs of its node.

Drives go wherever there is room. Ray's own retries are off: a task that died with its node comes back to the scheduler,
which submits it again, so that the number of attempts is bounded and told in the report.
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
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.recording import DriveTask, record_task
from roadmask.streaming.batch.workers import Died, Message, Progressed, spaced
from roadmask.streaming.redaction import redact_address, redact_text


class _Board:
    """Where tasks say how far they are, and read whether to stop. Lives on this machine, so no dead node takes it."""

    def __init__(self) -> None:
        self._frames: dict[str, int] = {}
        self._stopping = False

    def report(self, drive: str, frames: int) -> bool:
        """Takes a drive's progress; returns whether it should end early."""
        self._frames[drive] = frames
        return self._stopping

    def taken(self) -> dict[str, int]:
        """Returns what was reported since it was last asked."""
        frames, self._frames = self._frames, {}
        return frames

    def stop(self) -> None:
        """Tells everyone who reports to end early."""
        self._stopping = True


def _record_on_node(task: DriveTask, board: Any) -> DriveOutcome:
    stop = threading.Event()

    def report(frames: int) -> None:
        if ray.get(board.report.remote(task.drive.name, frames)):
            stop.set()

    return record_task(task, stop, spaced(report))


class RayWorkers:
    """Tasks on a Ray cluster.

    Args:
        address: of the cluster, or `auto`; a cluster this process is connected to is used whatever it says.
        cpus: of a node, for each drive.
        most: drives at a time; as many as there are CPUs for if None.

    Raises:
        InputError: there is no cluster at the address, or none of its nodes has as many CPUs.
    """

    def __init__(self, address: str, cpus: int, most: int | None = None) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RayError) as error:
                shown, why = redact_address(address), redact_text(str(error), [address])
                raise InputError(
                    f"no Ray cluster answers at {shown!r} ({why}): start one with `ray start --head`, or leave "
                    "--ray-address out."
                ) from error
        self._cpus = cpus
        self._most = most
        self._running: dict[Any, str] = {}
        if not self._slots():
            found = _alive_cpus()
            self.close()
            raise InputError(f"expected a node with {cpus} CPUs or more, the cluster's nodes have {found}.")
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._board: Any = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here).remote()
        self._record: Any = ray.remote(_record_on_node).options(
            num_cpus=cpus, max_retries=0, scheduling_strategy="SPREAD"
        )

    def _slots(self) -> int:
        slots = sum(cpus // self._cpus for cpus in _alive_cpus())
        return slots if self._most is None else min(slots, self._most)

    def free(self) -> int:
        """Returns how many more drives can be submitted now; nodes may come and go."""
        return self._slots() - len(self._running)

    def submit(self, task: DriveTask) -> None:
        """Sends a drive to wherever there is room."""
        self._running[self._record.remote(task, self._board)] = task.drive.name

    def poll(self, seconds: float) -> list[Message]:
        """Waits for news, this long at most."""
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
        for drive, frames in ray.get(self._board.taken.remote()).items():
            if drive in running:
                messages.append(Progressed(drive, frames))
        return messages

    def stop(self) -> None:
        """Asks all drives to end early."""
        ray.get(self._board.stop.remote())

    def close(self) -> None:
        """Ends every drive at once."""
        for answer in self._running:
            ray.cancel(answer, force=True)
        self._running.clear()
        if self._own:
            ray.shutdown()


def cluster_cpus(address: str) -> list[int]:
    """Returns the CPUs of each node of a cluster.

    Raises:
        InputError: no cluster answers.
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
