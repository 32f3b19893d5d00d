"""The benchmarks of tracking measure what they say. No test looks at a time, none needs a tracker of others."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import peer_trackers
from benchmarks.peer_trackers import PEERS, installed_peers
from benchmarks.tracking.measuring import as_if_read, benchmark_tracking, synthetic_frames
from benchmarks.tracking_robustness.__main__ import app
from benchmarks.tracking_robustness.corruption import corrupt_sequence
from roadmask.engines.masks import BoxMasks, RleMasks


def test_the_scene_is_easy_to_track() -> None:
    scene = synthetic_frames(40, 20)
    assert {len(each) for each in scene} == {20}
    assert isinstance(scene[0].masks, BoxMasks)
    read = as_if_read(scene[:2])
    assert isinstance(read[0].masks, RleMasks)
    assert (read[0].masks.area > 500).all()
    records = benchmark_tracking([], frames=40, rounds=1)
    assert [(each["tracker"], each["masks"]) for each in records] == [
        ("roadmask", "BoxMasks"),
        ("roadmask", "RleMasks"),
    ]
    for each in records:
        assert each["updates"] == 20
        assert 20 <= each["ids_given"] <= 24
        assert each["p99_ms"] >= each["median_ms"] > 0


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peers_follow_what_is_easy(peer: peer_trackers.Peer) -> None:
    if not peer.installed:
        pytest.skip(f"needs {peer.package}: make bench-setup")
    update = peer.of_all_classes(next(peer.combinations()), 10)
    scene = synthetic_frames(30, 6)
    order = np.random.default_rng(3).permutation(6)
    given = [update(each[order]) for each in scene]
    assert all(len(set(ids.tolist())) == 6 for ids in given[5:]), "each thing has an id of its own"
    same = [(a == b).all() for a, b in pairwise(given[5:])]
    assert np.mean(same) > 0.8


def test_missing_peers_are_left_out_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_trackers, "find_spec", lambda _name: None)
    found, told = installed_peers()
    assert not found
    assert any("norfair: pip install --no-deps 'norfair>=2.3'" in sentence for sentence in told)


def test_corruption_is_what_it_says(data_dir: Path) -> None:
    path = data_dir / "kitti_mots_gt" / "0017.txt"
    frames = corrupt_sequence(path, 1)
    truth, seen = sum(len(each.truth) for each in frames), sum(len(each.seen) for each in frames)
    best = np.concatenate([each.similarity.max(axis=0, initial=0) for each in frames])
    scores = np.concatenate([each.seen.scores for each in frames])
    assert seen / truth == pytest.approx(0.8 * 1.1, abs=0.04)
    assert 0.05 < (best < 0.3).mean() < 0.15
    assert 0.7 < np.median(best[best > 0.3]) < 0.9, "5 % of the size off at each edge"
    assert scores[best > 0.5].mean() == pytest.approx(5 / 7, abs=0.03)
    assert scores[best < 0.1].mean() == pytest.approx(1 / 3, abs=0.06)
    again, other = corrupt_sequence(path, 1), corrupt_sequence(path, 2)
    assert all((a.seen.boxes == b.seen.boxes).all() for a, b in zip(frames, again, strict=True))
    assert any(len(a.seen) != len(b.seen) for a, b in zip(frames, other, strict=True))


def test_robustness_in_short(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "robustness.json"
    command = ["--gt", str(data_dir / "kitti_mots_gt"), "--seeds", "1"]
    command += ["--sequences", "0014", "--no-peers", "--processes", "1", "--json", str(out)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    records = [each for each in json.loads(out.read_text())["results"] if each["part"] == "all"]
    ours = ("roadmask", "roadmask, seen alone")
    assert [(each["every"], each["class"], each["tracker"]) for each in records] == [
        (every, name, tracker) for every in (1, 3, 10) for name in ("car", "pedestrian") for tracker in ours
    ]
    assert all(10 < each["HOTA"] < 90 for each in records)
    detected = {(each["every"], each["class"], each["tracker"]): each["DetA"] for each in records}
    assert detected[1, "car", ours[0]] > detected[1, "car", ours[1]] + 1  # what was missed coasts ...
    assert detected[10, "car", ours[0]] == detected[10, "car", ours[1]]  # ... but not for a second
    assert {each["lead"] for each in records} == {None}


def test_robustness_of_other_settings(data_dir: Path, tmp_path: Path) -> None:
    # No score reaches 1, so no track ever starts.
    config, out = tmp_path / "strict.toml", tmp_path / "robustness.json"
    config.write_text("[tracker]\nscore_confident = 1.0\n")
    command = ["--gt", str(data_dir / "kitti_mots_gt"), "--config", str(config)]
    command += ["--seeds", "1", "--sequences", "0017", "--no-peers", "--processes", "1", "--json", str(out)]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    assert {each["HOTA"] for each in json.loads(out.read_text())["results"]} == {0.0}
