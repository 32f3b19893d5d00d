"""A batch on a Ray cluster of three nodes, one of which dies half way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import ray
import ray._private.node
from ray.cluster_utils import Cluster

import support.batches
from roadmask.streaming.batch.batch import BatchSettings, run_batch
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.schedule import BatchView
from support.batches import gated_segmenter, plan_of, single, write_drives
from support.compare_stores import differing_files
from support.shared_ray import patiently


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """Three nodes, with the driver on the first; a node that is gone is noticed soon."""
    ray.cloudpickle.register_pickle_by_value(support.batches)
    soon = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
    head = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "_system_config": soon, "include_dashboard": False}
    cluster = Cluster()

    def start() -> None:
        cluster.add_node(**head)
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        ray.init(address=cluster.address, log_to_driver=False)

    def end() -> None:
        ray.shutdown()
        cluster.shutdown()

    try:
        patiently(start, end)
        yield cluster
    finally:
        end()
        ray.cloudpickle.unregister_pickle_by_value(support.batches)


def die(cluster: Cluster, node: ray._private.node.Node) -> None:
    """Ends all processes of a node at once, as a machine does: workers alone would finish what they are at."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    workers = raylet.children(recursive=True)
    for each in workers:
        each.suspend()
    cluster.remove_node(node, allow_graceful=False)
    for each in workers:
        with suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.mark.ci
def test_a_dead_nodes_drives_are_taken_over(tmp_path: Path, nodes: Cluster) -> None:
    good = 15
    videos = write_drives(tmp_path / "videos", good, frames=9, broken=3)
    gate = tmp_path / "gate"
    killed = []

    def kill_half_way(view: BatchView, outcome: DriveOutcome | None) -> None:
        if killed or len(view.outcomes) < 4:
            return
        gate.touch()
        # Every node stands in the first half of a drive, and needs half a second at least for the other.
        begun = [frames for frames in view.running.values() if 1 <= frames <= 4]
        if len(begun) == 3:
            killed.append(set(view.running))
            die(nodes, next(iter(nodes.worker_nodes)))
            gate.unlink()

    settings = BatchSettings(ray_address="auto", build=partial(gated_segmenter, gate))
    result = run_batch(plan_of(videos, tmp_path / "out", settings), on_change=kill_half_way)
    assert killed
    by_name = {outcome.drive: outcome for outcome in result.outcomes}
    assert result.exit_code == 3
    assert [name for name, outcome in by_name.items() if outcome.status != "stored"] == ["d15", "d16", "d17"]
    for name, words in (("d15", "empty file"), ("d16", "text file"), ("d17", "moov")):
        assert words in by_name[name].reason
    # the drive that was on the dead node was begun again on another
    assert any(by_name[name].attempts == 2 for name in killed[0])
    for number in range(good):
        name = f"d{number:02d}"
        one = single(videos / f"{name}.mp4", tmp_path / "single" / f"{name}.zarr")
        assert differing_files(one, tmp_path / "out" / f"{name}.zarr") == [], name
