"""Tracks against ground truth, by the library that the benchmarks themselves use (trackeval).

HOTA and its parts: Luiten et al. 2021. MOTA and the counts of switches and fragments (CLEAR): Bernardin and
Stiefelhagen 2008. IDF1: Ristani et al. 2016. sMOTSA and MOTSP: Voigtlaender et al. 2019; for boxes they are what
others call sMOTA and MOTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.kitti import KittiFormat, sequence_files

COMBINED = "COMBINED"
"""Stands for all sequences together: counted over all of them, not averaged."""

KITTI_CLASSES = ("car", "pedestrian")

_FIELDS = {
    "HOTA": ("HOTA", "HOTA"),
    "DetA": ("HOTA", "DetA"),
    "AssA": ("HOTA", "AssA"),
    "LocA": ("HOTA", "LocA"),
    "MOTA": ("CLEAR", "MOTA"),
    "sMOTSA": ("CLEAR", "sMOTA"),
    "MOTSP": ("CLEAR", "MOTP"),
    "IDF1": ("Identity", "IDF1"),
    "IDSW": ("CLEAR", "IDSW"),
    "Frag": ("CLEAR", "Frag"),
}
"""Name of a measure -> the family and the field of trackeval."""
_COUNTS = ("IDSW", "Frag")

MEASURES = tuple(_FIELDS)


@dataclass(frozen=True)
class TrackMeasures:
    """The measures of one class in one sequence, or in all of them."""

    sequence: str
    """Name of the sequence, or `COMBINED`."""
    class_name: str
    """Car or pedestrian."""
    values: Mapping[str, float]
    """One value for each of `MEASURES`: per cent, but IDSW and Frag are counts."""

    def record(self) -> dict[str, str | float]:
        """Returns it as one flat record."""
        return {"sequence": self.sequence, "class": self.class_name, **self.values}


def measure_tracks(
    truth: Path, results: Path, kind: KittiFormat, classes: Iterable[str] = KITTI_CLASSES
) -> list[TrackMeasures]:
    """Measures tracks as the benchmark of their format does.

    Args:
        truth: folder of ground truth, see `sequence_files`.
        results: folder of tracks; must hold every sequence of the ground truth.
        kind: format of both.
        classes: car, pedestrian or both.

    Returns:
        For each class the sequences by name, then `COMBINED`.

    Raises:
        InputError: trackeval is missing, a sequence is missing, or a file cannot be used; the message says which.
    """
    try:
        import trackeval  # noqa: PLC0415 - an extra, slow to import
        from trackeval.utils import TrackEvalException  # noqa: PLC0415
    except ImportError as error:
        raise InputError("measuring tracks needs trackeval: pip install 'roadmask[eval]'.") from error
    unknown = set(classes) - set(KITTI_CLASSES)
    if unknown:
        raise InputError(f"expected the classes {' and '.join(KITTI_CLASSES)}, got {', '.join(sorted(unknown))}.")

    true_files, result_files = sequence_files(truth), sequence_files(results)
    missing = sorted(set(true_files) - set(result_files))
    if missing:
        raise InputError(f"{results} lacks the sequences {', '.join(missing)} of {truth}: track all of them first.")

    with TemporaryDirectory(prefix="roadmask-") as folder:
        lengths = {name: _frames(true_files[name], result_files[name]) for name in true_files}
        _lay_out(Path(folder), true_files, result_files, lengths)
        dataset = _dataset(trackeval, Path(folder), kind, lengths)
        families = {
            "HOTA": trackeval.metrics.HOTA(),
            "CLEAR": trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
            "Identity": trackeval.metrics.Identity({"PRINT_CONFIG": False}),
        }
        measured: dict[str, dict[str, Any]] = {name: {} for name in classes}
        try:
            for sequence in lengths:
                raw = dataset.get_raw_seq_data("results", sequence)
                for name, found in measured.items():
                    data = dataset.get_preprocessed_seq_data(raw, name)
                    found[sequence] = {key: family.eval_sequence(data) for key, family in families.items()}
        except TrackEvalException as error:
            raise InputError(f"{results} cannot be measured against {truth}: {error}.") from error

    collected = []
    for name, found in measured.items():
        together = {
            key: family.combine_sequences({sequence: each[key] for sequence, each in found.items()})
            for key, family in families.items()
        }
        for sequence, each in [*found.items(), (COMBINED, together)]:
            collected.append(TrackMeasures(sequence, name, _values(each)))
    return collected


def _values(found: Mapping[str, Any]) -> dict[str, float]:
    # HOTA is averaged over its localisation thresholds.
    values = {name: float(np.mean(found[family][field])) for name, (family, field) in _FIELDS.items()}
    return {name: int(value) if name in _COUNTS else 100 * value for name, value in values.items()}


def _frames(*files: Path) -> int:
    """Returns how many frames the files speak of; later ones, without any instance, change no measure."""
    last = -1
    for path in files:
        try:
            with path.open(encoding="ascii") as lines:
                last = max([last, *(int(line.split(maxsplit=1)[0]) for line in lines if line.strip())])
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected rows that begin with a frame number: {error}.") from error
    return last + 1


def _lay_out(
    folder: Path, true_files: Mapping[str, Path], result_files: Mapping[str, Path], lengths: Mapping[str, int]
) -> None:
    """Links the files to where trackeval looks for them."""
    for place, files in (("label_02", true_files), ("results/data", result_files)):
        (folder / place).mkdir(parents=True)
        for name in lengths:
            (folder / place / f"{name}.txt").symlink_to(files[name].resolve())
    seqmap = "".join(f"{name} empty 000000 {length:06d}\n" for name, length in lengths.items())
    (folder / "evaluate_tracking.seqmap.training").write_text(seqmap, encoding="ascii")


def _dataset(trackeval: Any, folder: Path, kind: KittiFormat, lengths: Mapping[str, int]) -> Any:
    config = {
        "GT_FOLDER": str(folder),
        "TRACKERS_FOLDER": str(folder),
        "TRACKERS_TO_EVAL": ["results"],
        "PRINT_CONFIG": False,
    }
    if kind == "kitti-box":
        return trackeval.datasets.Kitti2DBox(config)
    return trackeval.datasets.KittiMOTS({**config, "SEQ_INFO": dict(lengths)})
