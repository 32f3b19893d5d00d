"""Two runs against the same ground truth: where they differ, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.sequence_data import SequenceData

FAULTS = ("switch", "fragment", "miss", "false positive")
"""Kinds of faults, the gravest first."""
_WEIGHTS = dict(zip(FAULTS, (5, 2, 1, 1), strict=True))
"""What a fault adds to a frame's rank: an id that changes spoils all that follows, a miss spoils one frame."""


@dataclass(frozen=True, order=True)
class Fault:
    """Something that a tracker did wrong in one frame."""

    frame: int
    kind: str
    """One of `FAULTS`."""
    true_id: int
    """Whom it befell; -1 for false positives."""
    given_id: int
    """What the tracker called it; -1 for misses."""
    before_id: int = -1
    """What it was called before a switch."""

    def __str__(self) -> str:
        if self.kind == "switch":
            return f"{self.true_id} switches {self.before_id} → {self.given_id}"
        if self.kind == "fragment":
            return f"{self.true_id} comes back"
        return f"misses {self.true_id}" if self.kind == "miss" else f"false {self.given_id}"


@dataclass(frozen=True)
class FrameDifference:
    """A frame in which two runs did not do the same things wrong."""

    sequence: str
    class_name: str
    frame: int
    only_a: tuple[Fault, ...]
    """What only the first run did wrong."""
    only_b: tuple[Fault, ...]
    """What only the second run did wrong."""

    @property
    def weight(self) -> int:
        """How much there is to see: the higher, the sooner to be looked at."""
        return sum(_WEIGHTS[fault.kind] for fault in (*self.only_a, *self.only_b))

    @property
    def balance(self) -> int:
        """Above 0 where the second run did better, below 0 where the first did."""
        return sum(_WEIGHTS[f.kind] for f in self.only_a) - sum(_WEIGHTS[f.kind] for f in self.only_b)

    def record(self) -> dict[str, str | int]:
        """Returns it as one flat record."""
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
    """Lists what a tracker did wrong, as CLEAR counts it, in the order of frames.

    A switch: a thing is called otherwise than when it was last seen. A fragment: a thing is found again after it was
    missed. Pairs are those of `SequenceData.matches`.
    """
    found: list[Fault] = []
    names: dict[int, int] = {}  # true id -> id it was last given
    missed: set[int] = set()  # true ids that had a name and lost sight
    for frame, (true, given, (rows, columns)) in enumerate(
        zip(data.true_ids, data.given_ids, data.matches, strict=True)
    ):
        pairs: dict[int, int] = dict(zip(true[rows].tolist(), given[columns].tolist(), strict=True))
        for thing, name in pairs.items():
            before = names.get(thing, name)
            if before != name:
                found.append(Fault(frame, "switch", thing, name, before))
            if thing in missed:
                found.append(Fault(frame, "fragment", thing, name))
                missed.discard(thing)
            names[thing] = name
        unseen = set(true.tolist()) - set(pairs)
        found += [Fault(frame, "miss", thing, -1) for thing in sorted(unseen)]
        missed |= unseen & set(names)
        found += [Fault(frame, "false positive", -1, n) for n in sorted(set(given.tolist()) - set(pairs.values()))]
    return found


def compare_runs(a: Sequence[SequenceData], b: Sequence[SequenceData]) -> list[FrameDifference]:
    """Compares what two runs did wrong against the same ground truth.

    The ids of two runs have nothing to do with each other, so a switch of the same true thing in the same frame is the
    same fault, whatever the two call it; false positives are compared by their number.

    Args:
        a: the sequences of the first run, as `read_sequences` gives them.
        b: those of the second run.

    Returns:
        The frames in which the runs differ, those with most to see first.

    Raises:
        InputError: the runs were not read against the same sequences.
    """
    keys = [[(each.sequence, each.class_name) for each in run] for run in (a, b)]
    if keys[0] != keys[1]:
        raise InputError("expected both runs to hold the same sequences: track the same input twice.")
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
