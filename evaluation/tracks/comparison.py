"""Compares two runs against the same ground truth, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.sequence_data import SequenceData

FAULTS = ("switch", "fragment", "miss", "false positive")
"""Kinds of faults, the most severe first."""
_WEIGHTS = dict(zip(FAULTS, (5, 2, 1, 1), strict=True))
"""Weight of each kind of fault in a frame's rank: a changed id spoils all later frames, a miss spoils one."""


@dataclass(frozen=True, order=True)
class Fault:
    """An error of a tracker in one frame."""

    frame: int
    """Number of the frame in its sequence, from 0."""
    kind: str
    """Kind of the fault, one of `FAULTS`."""
    true_id: int
    """Id of the true object; -1 for false positives."""
    given_id: int
    """Id that the tracker gave; -1 for misses."""
    before_id: int = -1
    """Id that the tracker gave before a switch; -1 for other kinds."""

    def __str__(self) -> str:
        if self.kind == "switch":
            return f"{self.true_id} switches {self.before_id} → {self.given_id}"
        if self.kind == "fragment":
            return f"{self.true_id} reappears"
        return f"misses {self.true_id}" if self.kind == "miss" else f"false {self.given_id}"


@dataclass(frozen=True)
class FrameDifference:
    """A frame in which two runs have different faults."""

    sequence: str
    """Name of the sequence."""
    class_name: str
    """Name of the class."""
    frame: int
    """Number of the frame in its sequence, from 0."""
    only_a: tuple[Fault, ...]
    """Faults of the first run alone."""
    only_b: tuple[Fault, ...]
    """Faults of the second run alone."""

    @property
    def weight(self) -> int:
        """Sum of the weights of the faults in which the runs differ; frames with a higher weight are listed first."""
        return sum(_WEIGHTS[fault.kind] for fault in (*self.only_a, *self.only_b))

    @property
    def balance(self) -> int:
        """Weight in favour of the second run: positive where it did better, negative where the first did."""
        return sum(_WEIGHTS[f.kind] for f in self.only_a) - sum(_WEIGHTS[f.kind] for f in self.only_b)

    def record(self) -> dict[str, str | int]:
        """Returns the difference as a flat record."""
        counts = {
            f"{run}_{kind.replace(' ', '_')}": sum(fault.kind == kind for fault in faults)
            for run, faults in (("a", self.only_a), ("b", self.only_b))
            for kind in FAULTS
        }
        shown = {f"{run}_only": "; ".join(map(str, faults)) for run, faults in (("a", self.only_a), ("b", self.only_b))}
        return {
            "sequence": self.sequence,
            "class": self.class_name,
            "frame": self.frame,
            "weight": self.weight,
            "balance": self.balance,
            **counts,
            **shown,
        }


def faults(data: SequenceData) -> list[Fault]:
    """Lists the faults of a tracker in the order of frames, as CLEAR counts them.

    A switch is an object with another id than when it was last detected. A fragment is an object that is detected again
    after it was missed. Detections and true objects are paired by `SequenceData.matches`.
    """
    found: list[Fault] = []
    last: dict[int, int] = {}  # true id -> last given id
    missed: set[int] = set()  # true ids that had an id and are missed since
    for frame, (true, given, (rows, columns)) in enumerate(
        zip(data.true_ids, data.given_ids, data.matches, strict=True)
    ):
        pairs: dict[int, int] = dict(zip(true[rows].tolist(), given[columns].tolist(), strict=True))
        for true_id, given_id in pairs.items():
            before = last.get(true_id, given_id)
            if before != given_id:
                found.append(Fault(frame, "switch", true_id, given_id, before))
            if true_id in missed:
                found.append(Fault(frame, "fragment", true_id, given_id))
                missed.discard(true_id)
            last[true_id] = given_id
        unseen = set(true.tolist()) - set(pairs)
        found += [Fault(frame, "miss", true_id, -1) for true_id in sorted(unseen)]
        missed |= unseen & set(last)
        found += [Fault(frame, "false positive", -1, n) for n in sorted(set(given.tolist()) - set(pairs.values()))]
    return found


def compare_runs(a: Sequence[SequenceData], b: Sequence[SequenceData]) -> list[FrameDifference]:
    """Compares the faults of two runs against the same ground truth.

    The ids of two runs are unrelated, so a switch of the same true object in the same frame is the same fault, whatever
    ids the runs gave; false positives are compared by their number.

    Args:
        a: sequences of the first run, as `read_sequences` returns them.
        b: sequences of the second run.

    Returns:
        The frames in which the runs differ, by falling weight.

    Raises:
        InputError: the runs do not hold the same sequences.
    """
    keys = [[(each.sequence, each.class_name) for each in run] for run in (a, b)]
    if keys[0] != keys[1]:
        raise InputError("expected both runs to hold the same sequences and classes: track the same input with both.")
    differences = []
    for own, other in zip(a, b, strict=True):
        of_a, of_b = _by_frame(faults(own)), _by_frame(faults(other))
        for frame in sorted(set(of_a) | set(of_b)):
            only_a, only_b = _without_common(of_a.get(frame, []), of_b.get(frame, []))
            if only_a or only_b:
                differences.append(FrameDifference(own.sequence, own.class_name, frame, only_a, only_b))
    return sorted(differences, key=lambda each: (-each.weight, each.sequence, each.frame, each.class_name))


def _by_frame(found: Sequence[Fault]) -> dict[int, list[Fault]]:
    frames: dict[int, list[Fault]] = {}
    for fault in found:
        frames.setdefault(fault.frame, []).append(fault)
    return frames


def _without_common(a: Sequence[Fault], b: Sequence[Fault]) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    rest = list(b)
    only_a = []
    for fault in a:
        twin = next((each for each in rest if (each.kind, each.true_id) == (fault.kind, fault.true_id)), None)
        if twin is None:
            only_a.append(fault)
        else:
            rest.remove(twin)
    return tuple(only_a), tuple(rest)
