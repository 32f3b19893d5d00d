"""Accuracy of trackers on poor detections: ours against others, on the same corrupted KITTI MOTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_trackers import PEERS, Settings
from benchmarks.tracking_robustness.corruption import CorruptedFrame, corrupt_sequence
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.evaluation.tracks.filled_rows import moved_mask
from roadmask.evaluation.tracks.sequence_data import SequenceData, load_trackeval
from roadmask.streaming.formats.kitti import sequence_files
from roadmask.tracking import Coasting, IouTracker, IouTrackerConfig, coasted

TUNING = ("0003", "0005", "0014", "0017", "0018")
"""Sequences on which peers choose their settings; the figures that count are those of the others."""
EVERY = (1, 3, 10)
"""Every n-th frame is tracked, for each of these n."""
FPS = 10.0
NS = 1_000_000_000
OURS = "roadmask"
OURS_SEEN = "roadmask, seen alone"
"""Without what coasts: the same boxes as others have."""
_CLASSES = {"car": CAR, "pedestrian": PEDESTRIAN}
_TUNING_SEED = 1000
_TUNING_OVERLAPS = np.array([0.3, 0.5, 0.7])
"""Localisation thresholds that tuning looks at; HOTA proper looks at 19."""

Found = dict[str, Any]
"""What trackeval's HOTA says of one class of a sequence."""
Advance = Callable[[], None]


@dataclass(frozen=True)
class RobustnessBenchmark:
    """Settings of the benchmark."""

    folder: Path
    """Folder of KITTI MOTS ground truth."""
    seeds: tuple[int, ...] = (1, 2, 3)
    sequences: tuple[str, ...] | None = None
    """Names of the sequences; None for all in the folder."""
    peers: tuple[str, ...] = ()
    """Names of `PEERS`."""
    tune: bool = True
    """Whether peers choose their settings on the tuning sequences; if not they take the first of their grid."""
    processes: int = 2
    config: IouTrackerConfig = field(default_factory=IouTrackerConfig)
    """Settings of our tracker."""

    def files(self) -> dict[str, Path]:
        """Returns the files of its sequences.

        Raises:
            InputError: one is missing.
        """
        files = sequence_files(self.folder)
        wanted = tuple(files) if self.sequences is None else self.sequences
        missing = sorted(set(wanted) - set(files))
        if missing:
            raise InputError(f"{self.folder} lacks the sequences {', '.join(missing)}: it has {', '.join(files)}.")
        return {name: files[name] for name in wanted}

    def tuning_files(self) -> list[Path]:
        """Returns the files on which peers are tuned."""
        return [path for name, path in sequence_files(self.folder).items() if name in TUNING] if self.tune else []

    @property
    def jobs(self) -> int:
        """How often `advance` will be called."""
        return len(self.tuning_files() if self.peers else []) + len(self.seeds) * len(self.files())


def benchmark_robustness(benchmark: RobustnessBenchmark, advance: Advance = lambda: None) -> list[dict[str, Any]]:
    """Corrupts sequences, tracks them with every tracker and measures HOTA by mask IoU.

    Peers get the boxes, scores and classes of the same detections and the best settings of their grid, chosen for each
    frame rate by the mean HOTA of both classes on the tuning sequences, spoilt by another seed. Ours runs with one
    configuration everywhere.

    Args:
        benchmark: what to measure.
        advance: called after each job.

    Returns:
        For each frame rate, part (`tuning`, `others`, `all`), class and tracker a record of means over seeds; `lead`
        is that of ours over the best peer of the part. Ours stands there twice: as it runs by default, and without
        what coasts.

    Raises:
        InputError: sequences are missing or cannot be read, or trackeval is not installed.
    """
    load_trackeval()
    files = benchmark.files()
    with ProcessPoolExecutor(benchmark.processes, mp_context=get_context("spawn")) as pool:
        chosen = _tune(pool, benchmark, advance)
        jobs = {
            pool.submit(measure_sequence, path, seed, chosen, benchmark.config): (seed, name)
            for seed in benchmark.seeds
            for name, path in files.items()
        }
        found: dict[tuple[int, str], dict[tuple[int, str, str], Found]] = {}
        for job in as_completed(jobs):
            found[jobs[job]] = job.result()
            advance()
    return _records(benchmark, files, chosen, found)


def measure_sequence(
    path: Path, seed: int, chosen: Mapping[tuple[str, int], Settings], config: IouTrackerConfig | None = None
) -> dict[tuple[int, str, str], Found]:
    """Runs ours and the peers on a sequence; returns (every, tracker, class) -> what HOTA says."""
    frames = corrupt_sequence(path, seed)
    found = {}
    for every in EVERY:
        part = frames[::every]
        seen, coasting = _track(part, every, config)
        runs = {OURS: seen, OURS_SEEN: seen}
        for peer in PEERS:
            if (peer.name, every) in chosen:
                update = peer.of_all_classes(chosen[peer.name, every], FPS / every)
                runs[peer.name] = [update(frame.seen) for frame in part]
        for tracker, ids in runs.items():
            for name in _CLASSES:
                added = coasting if tracker == OURS else None
                found[every, tracker, name] = _hota(path.stem, part, ids, name, added=added)
    return found


def tune_sequence(path: Path, peers: Sequence[str]) -> dict[tuple[str, int, int, str], Found]:
    """Tries all settings on a sequence; returns (peer, every, number of the settings, class) -> what HOTA says."""
    frames = corrupt_sequence(path, _TUNING_SEED)
    found = {}
    for every in EVERY:
        part = frames[::every]
        for peer in (each for each in PEERS if each.name in peers):
            for number, settings in enumerate(peer.combinations()):
                update = peer.of_all_classes(settings, FPS / every)
                ids = [update(frame.seen) for frame in part]
                for name in _CLASSES:
                    found[peer.name, every, number, name] = _hota(path.stem, part, ids, name, _TUNING_OVERLAPS)
    return found


def _tune(
    pool: ProcessPoolExecutor, benchmark: RobustnessBenchmark, advance: Advance
) -> dict[tuple[str, int], Settings]:
    """Returns (peer, every) -> its best settings."""
    grids = {peer.name: list(peer.combinations()) for peer in PEERS if peer.name in benchmark.peers}
    if not benchmark.tune or not grids:
        return {(name, every): grid[0] for name, grid in grids.items() for every in EVERY}
    tried = []
    for job in as_completed([pool.submit(tune_sequence, path, tuple(grids)) for path in benchmark.tuning_files()]):
        tried.append(job.result())
        advance()

    def score(name: str, every: int, number: int) -> float:
        parts = [[each[name, every, number, kind] for each in tried] for kind in _CLASSES]
        return float(np.mean([_combined(part, _TUNING_OVERLAPS)["HOTA"] for part in parts]))

    return {
        (name, every): grid[max(range(len(grid)), key=partial(score, name, every))]
        for name, grid in grids.items()
        for every in EVERY
    }


@dataclass(frozen=True, eq=False)
class _Added:
    """What coasts in a frame."""

    ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    similarity: NDArray[np.float64]
    """(G, A) mask IoU with the truth."""


def _track(
    frames: Sequence[CorruptedFrame], every: int, config: IouTrackerConfig | None
) -> tuple[list[NDArray[np.int64]], list[_Added]]:
    """Returns ids of what was seen, and what coasts beside it."""
    tracker, times_ns = IouTracker(config), [round(n * every * NS / FPS) for n in range(len(frames))]
    tracked = [tracker.update(frame.seen, time_ns) for frame, time_ns in zip(frames, times_ns, strict=True)]
    unseen = coasted(tracked, times_ns, Coasting())
    added = []
    for n, frame in enumerate(frames):
        ids, labels, masks = list[int](), list[int](), list[RleMasks]()
        present = [] if frame.seen.masks is None else [frame.seen.masks.to_rle()]
        for row in np.flatnonzero(unseen.frames == n).tolist():
            near, place = unseen.nearest[row].tolist()
            mask = moved_mask(frames[near].seen[[place]], unseen.boxes[row], [*present, *masks])
            if mask is not None:
                ids.append(int(unseen.track_ids[row]))
                labels.append(int(frames[near].seen.category_ids[place]))
                masks.append(mask)
        together = RleMasks(tuple(mask.counts[0] for mask in masks), frame.truth.image_size)
        similarity = np.zeros((len(frame.truth), 0))
        if masks and frame.truth.masks is not None:
            similarity = frame.truth.masks.iou(together)
        added.append(_Added(np.array(ids, np.int64), np.array(labels, np.int64), similarity))
    return [tracks.track_ids for tracks in tracked], added


def _hota(
    sequence: str,
    frames: Sequence[CorruptedFrame],
    ids: Sequence[NDArray[np.int64]],
    name: str,
    overlaps: NDArray[np.float64] | None = None,
    added: Sequence[_Added] | None = None,
) -> Found:
    true, given, similarity = [], [], []
    for n, (frame, own) in enumerate(zip(frames, ids, strict=True)):
        rows = np.flatnonzero(frame.truth.category_ids == _CLASSES[name])
        columns = np.flatnonzero((frame.seen.category_ids == _CLASSES[name]) & (own > 0))
        true.append(frame.true_ids[rows])
        given.append(own[columns])
        similarity.append(frame.similarity[np.ix_(rows, columns)])
        if added is not None:
            more = np.flatnonzero(added[n].category_ids == _CLASSES[name])
            given[-1] = np.concatenate([given[-1], added[n].ids[more]])
            similarity[-1] = np.hstack([similarity[-1], added[n].similarity[np.ix_(rows, more)]])
    data = SequenceData(sequence, name, tuple(true), tuple(given), tuple(similarity))
    found: Found = _metric(overlaps).eval_sequence(data.for_trackeval())
    return found


def _metric(overlaps: NDArray[np.float64] | None = None) -> Any:
    metric = load_trackeval().metrics.HOTA()
    if overlaps is not None:
        metric.array_labels = overlaps
    return metric


def _combined(found: Sequence[Found], overlaps: NDArray[np.float64] | None = None) -> dict[str, float]:
    together = _metric(overlaps).combine_sequences(dict(enumerate(found)))
    return {name: 100 * float(np.mean(together[name])) for name in ("HOTA", "DetA", "AssA")}


def _records(
    benchmark: RobustnessBenchmark,
    files: Mapping[str, Path],
    chosen: Mapping[tuple[str, int], Settings],
    found: Mapping[tuple[int, str], dict[tuple[int, str, str], Found]],
) -> list[dict[str, Any]]:
    parts = {
        "others": [name for name in files if name not in TUNING],
        "tuning": [name for name in files if name in TUNING],
        "all": list(files),
    }
    trackers = (OURS, OURS_SEEN, *(peer.name for peer in PEERS if peer.name in benchmark.peers))
    records = []
    for every in EVERY:
        for part, names in parts.items():
            for kind in _CLASSES if names else ():
                rows: list[dict[str, Any]] = []
                for tracker in trackers:
                    by_seed = [
                        _combined([found[seed, name][every, tracker, kind] for name in names])
                        for seed in benchmark.seeds
                    ]
                    means = {key: round(float(np.mean([each[key] for each in by_seed])), 3) for key in by_seed[0]}
                    hotas = [each["HOTA"] for each in by_seed]
                    rows.append(
                        {
                            "every": every,
                            "part": part,
                            "class": kind,
                            "tracker": tracker,
                            **means,
                            "HOTA_min": round(min(hotas), 3),
                            "HOTA_max": round(max(hotas), 3),
                            "seeds": len(hotas),
                            "sequences": len(names),
                            "settings": _shown(chosen.get((tracker, every))),
                        }
                    )
                best = max((row["HOTA"] for row in rows[2:]), default=None)
                for row in rows[:2]:
                    row["lead"] = None if best is None else round(row["HOTA"] - best, 3)
                records += [{**row, "lead": row.get("lead")} for row in rows]
    return records


def _shown(settings: Settings | None) -> str:
    return "default" if settings is None else ", ".join(f"{name} {value:g}" for name, value in settings.items())
