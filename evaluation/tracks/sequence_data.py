"""Reads what the measures are computed from: true and given ids of each frame, and how well they overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.assignment import assign
from roadmask.engines.errors import InputError
from roadmask.evaluation.tracks.drive import StoredSequence, TrackSource, is_drive, mots_dataset, read_drive
from roadmask.streaming.formats import KittiFormat, TrackFormat
from roadmask.streaming.formats.kitti import sequence_files

KITTI_CLASSES = ("car", "pedestrian")
_NEIGHBOURS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "kitti-box": {"car": ("van",), "pedestrian": ("person",)},
    "kitti-mots": {"car": (), "pedestrian": ()},
}
"""For each format and class, the classes that a detector may confuse with it without being penalised."""
MATCH_IOU = 0.5
"""IoU from which a detection counts as a hit of a true object, in CLEAR and here."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SequenceData:
    """One class of one sequence, without what the benchmark does not count."""

    sequence: str
    """Name of the sequence."""
    class_name: str
    """Name of the class: car or pedestrian."""
    true_ids: tuple[Ids, ...]
    """For each frame, (G,) ids of the ground truth, unique within the frame."""
    given_ids: tuple[Ids, ...]
    """For each frame, (D,) ids that the tracker gave, unique within the frame."""
    similarity: tuple[NDArray[np.float64], ...]
    """For each frame, (G, D) IoU of boxes or masks."""
    shown: tuple[Ids, ...] = ()
    """For each frame, (D,) id of the true object that each detection shows, -1 for none; set by `read_sequences`."""
    detected: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    """True id -> frames in which a detection shows the object, including objects that the benchmark does not count."""

    def __len__(self) -> int:
        return len(self.true_ids)

    def with_ids(self, given_ids: Sequence[Ids]) -> SequenceData:
        """Returns the same detections with other ids."""
        return replace(self, given_ids=tuple(given_ids))

    @cached_property
    def matches(self) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
        """For each frame, the positions of true and given ids that CLEAR pairs.

        Pairs of the previous frame are kept where they still overlap by `MATCH_IOU`; the others maximise overlap.
        """
        found, before = [], dict[int, int]()
        for true, given, similarity in zip(self.true_ids, self.given_ids, self.similarity, strict=True):
            kept = np.array([[before.get(a) == b for b in given.tolist()] for a in true.tolist()], np.float64)
            score = np.where(similarity >= MATCH_IOU - 1e-9, similarity + 1000 * kept.reshape(similarity.shape), 0)
            rows, columns = assign(score)
            # As CLEAR has it, an empty frame does not make the tracker forget.
            if len(true) and len(given):
                before = dict(zip(true[rows].tolist(), given[columns].tolist(), strict=True))
            found.append((rows, columns))
        return tuple(found)

    def for_trackeval(self) -> dict[str, Any]:
        """Returns the data as the metrics of trackeval take them: with ids from 0 without gaps."""
        data: dict[str, Any] = {
            "seq": self.sequence,
            "cls": self.class_name,
            "num_timesteps": len(self),
            "similarity_scores": list(self.similarity),
        }
        for name, ids in (("gt", self.true_ids), ("tracker", self.given_ids)):
            unique, places = np.unique(np.concatenate([*ids, np.zeros(0, np.int64)]), return_inverse=True)
            edges = np.cumsum([len(each) for each in ids])[:-1]
            data[f"{name}_ids"] = np.split(places, edges) if ids else []
            data[f"num_{name}_ids"] = len(unique)
            data[f"num_{name}_dets"] = len(places)
        return data


def read_sequences(
    truth: Path, results: Path, kind: TrackFormat, classes: Iterable[str] = KITTI_CLASSES
) -> list[SequenceData]:
    """Reads tracks and ground truth without what the benchmark does not count, by the rules of trackeval.

    A drive is measured like KITTI MOTS: by masks, no two of which share a pixel. Its ground truth is a drive with the
    same cameras, or a folder of KITTI MOTS whose frame numbers are the capture counts of the drive.

    Args:
        truth: folder of ground truth, see `sequence_files`, or a drive.
        results: folder of tracks, or a drive, with every sequence of the ground truth.
        kind: format of the results and of the ground truth; for a drive, the ground truth may also be KITTI MOTS.
        classes: car, pedestrian or both.

    Returns:
        For each class, its sequences by name.

    Raises:
        InputError: trackeval is not installed, a sequence is missing, or a file cannot be used.
        StoreError: a drive cannot be read.
    """
    trackeval = load_trackeval()
    classes = list(dict.fromkeys(classes))
    unknown = set(classes) - set(KITTI_CLASSES)
    if unknown or not classes:
        raise InputError(
            f"expected classes among {' and '.join(KITTI_CLASSES)}, got {', '.join(sorted(unknown)) or 'none'}."
        )
    with TemporaryDirectory(prefix="roadmask-") as made:
        folder = Path(made)
        true_files, result_files = _sequences(truth, kind), _sequences(results, kind)
        if kind == "drive" and len(true_files) == len(result_files) == 1:
            result_files = dict(zip(true_files, result_files.values(), strict=True))  # the only camera needs no name
        missing = sorted(set(true_files) - set(result_files))
        if missing:
            raise InputError(f"{results} lacks the sequences {', '.join(missing)} of {truth}: track all of them first.")
        lengths = {each: max(_frames(true_files[each]), _frames(result_files[each])) for each in true_files}
        _lay_out(folder, true_files, result_files, lengths)
        text_kind: KittiFormat = "kitti-mots" if kind == "drive" else kind
        dataset = _dataset(trackeval, folder, text_kind, lengths, (true_files, result_files))
        read: dict[str, list[SequenceData]] = {name: [] for name in classes}
        try:
            for sequence in lengths:
                raw = dataset.get_raw_seq_data("results", sequence)
                _mark_with_ids(raw, text_kind)
                for name, found in read.items():
                    numbers = [dataset.class_name_to_class_id[each] for each in (name, *_NEIGHBOURS[text_kind][name])]
                    shown, detected = _what_detections_show(raw, [int(each) for each in numbers])
                    data = _data(dataset.get_preprocessed_seq_data(raw, name), sequence, name, text_kind)
                    kept = tuple(
                        np.array([of.get(own, -1) for own in ids.tolist()], np.int64)
                        for of, ids in zip(shown, data.given_ids, strict=True)
                    )
                    found.append(replace(data, shown=kept, detected=detected))
        except trackeval.utils.TrackEvalException as error:
            raise InputError(f"{results} cannot be measured against {truth}: {error}.") from error
    return [each for found in read.values() for each in found]


def load_trackeval() -> Any:
    """Imports trackeval.

    Raises:
        InputError: trackeval is not installed.
    """
    try:
        import trackeval  # noqa: PLC0415 - an extra, slow to import
        import trackeval.utils  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "measuring tracks needs trackeval, which is not installed: pip install 'roadmask[eval]'."
        ) from error
    return trackeval


def _sequences(path: Path, kind: TrackFormat) -> Mapping[str, TrackSource]:
    return read_drive(path) if kind == "drive" and is_drive(path) else sequence_files(path)


# trackeval renumbers ids, which hides who is who. Detections pass through its rules unchanged, so they carry their ids
# along: boxes in a fifth column, run lengths in a key of their own.


def _mark_with_ids(raw: dict[str, Any], kind: KittiFormat) -> None:
    for side in ("gt", "tracker"):
        for t, ids in enumerate(raw[f"{side}_ids"]):
            dets = raw[f"{side}_dets"][t]
            if kind == "kitti-mots":
                raw[f"{side}_dets"][t] = [{**det, "id": int(own)} for det, own in zip(dets, ids, strict=True)]
            else:
                raw[f"{side}_dets"][t] = np.column_stack([np.asarray(dets, np.float64).reshape(-1, 4), ids])
    if kind == "kitti-box":
        regions = raw["gt_crowd_ignore_regions"]
        for t, each in enumerate(regions):
            regions[t] = np.column_stack([np.asarray(each, np.float64).reshape(-1, 4), np.zeros(len(each))])


def _data(found: Mapping[str, Any], sequence: str, class_name: str, kind: KittiFormat) -> SequenceData:
    def ids(side: str) -> tuple[Ids, ...]:
        if kind == "kitti-mots":
            return tuple(np.array([det["id"] for det in dets], np.int64) for dets in found[f"{side}_dets"])
        return tuple(
            np.asarray(dets, np.float64).reshape(-1, 5)[:, 4].astype(np.int64) for dets in found[f"{side}_dets"]
        )

    true, given = ids("gt"), ids("tracker")
    similarity = tuple(
        np.asarray(each, np.float64).reshape(len(a), len(b))
        for each, a, b in zip(found["similarity_scores"], true, given, strict=True)
    )
    return SequenceData(sequence, class_name, true, given, similarity)


def _what_detections_show(
    raw: Mapping[str, Any], classes: Sequence[int]
) -> tuple[list[dict[int, int]], dict[int, NDArray[np.int64]]]:
    """Pairs detections of the first class with true objects of the classes, before trackeval removes any of them.

    Returns:
        For each frame, given id -> true id; and true id -> frames.
    """
    shown: list[dict[int, int]] = []
    frames: dict[int, list[int]] = {}
    for t in range(raw["num_timesteps"]):
        rows = np.flatnonzero(np.isin(raw["gt_classes"][t], classes))
        columns = np.flatnonzero(np.atleast_1d(raw["tracker_classes"][t]) == classes[0])
        similarity = np.asarray(raw["similarity_scores"][t], np.float64)[np.ix_(rows, columns)]
        score = np.where(similarity >= MATCH_IOU - 1e-9, similarity, 0)
        a, b = assign(score)
        given = np.asarray(raw["tracker_ids"][t], np.int64)[columns[b]].tolist()
        true = np.asarray(raw["gt_ids"][t], np.int64)[rows[a]].tolist()
        shown.append(dict(zip(given, true, strict=True)))
        for each in true:
            frames.setdefault(each, []).append(t)
    return shown, {true: np.array(each, np.int64) for true, each in frames.items()}


def _frames(sequence: TrackSource) -> int:
    """Returns the number of frames up to the last instance; later frames, without an instance, change no measure."""
    if isinstance(sequence, StoredSequence):
        return sequence.frames
    try:
        with sequence.open(encoding="ascii") as lines:
            return max((int(line.split(maxsplit=1)[0]) for line in lines if line.strip()), default=-1) + 1
    except (OSError, ValueError) as error:
        raise InputError(f"{sequence}: expected rows that begin with a frame number: {error}.") from error


def _lay_out(
    folder: Path,
    truth: Mapping[str, TrackSource],
    results: Mapping[str, TrackSource],
    lengths: Mapping[str, int],
) -> None:
    """Links the files to where trackeval looks for them; it insists on a file for each stored sequence, too."""
    for place, sequences in (("label_02", truth), ("results/data", results)):
        (folder / place).mkdir(parents=True)
        for name in lengths:
            given, path = sequences[name], folder / place / f"{name}.txt"
            if isinstance(given, Path):
                path.symlink_to(given.resolve())
            else:
                path.touch()
    seqmap = "".join(f"{name} empty 000000 {length:06d}\n" for name, length in lengths.items())
    (folder / "evaluate_tracking.seqmap.training").write_text(seqmap, encoding="ascii")


def _dataset(
    trackeval: Any,
    folder: Path,
    kind: KittiFormat,
    lengths: Mapping[str, int],
    sides: tuple[Mapping[str, TrackSource], Mapping[str, TrackSource]],
) -> Any:
    config = {
        "GT_FOLDER": str(folder),
        "TRACKERS_FOLDER": str(folder),
        "TRACKERS_TO_EVAL": ["results"],
        "PRINT_CONFIG": False,
    }
    if kind == "kitti-box":
        return trackeval.datasets.Kitti2DBox(config)
    return mots_dataset(trackeval, {**config, "SEQ_INFO": dict(lengths)}, *sides)
