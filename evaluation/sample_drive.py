"""Quality of a whole run on the sample drive: what is found, how exact the masks are, and whether ids persist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from roadmask.engines.errors import EngineError
from roadmask.evaluation.tracks.sequence_data import SequenceData, load_trackeval
from roadmask.evaluation.tracks.track_measures import measure_sequences
from roadmask.sample_drive import DriveScore, SampleDrive, TruthFrame
from roadmask.sample_drive.score import count_frame, score_drive
from roadmask.streaming.config import RunConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.result import ProgressCallback
from roadmask.streaming.store import open_drive
from roadmask.streaming.store.records import StoredFrame

_CAMERA = "front"
_MEASURES = ("HOTA", "DetA", "AssA")


def evaluate_sample_drive(
    config: RunConfig | None = None, on_progress: ProgressCallback = lambda _: None
) -> list[dict[str, Any]]:
    """Records the sample drive, ten seconds at 25 frames per second, and compares it with the truth.

    Args:
        config: settings of the run; `max_frames` takes only the beginning.
        on_progress: called with the progress of the recording.

    Returns:
        A record for each class: class, frames, recall, precision, mask_iou (mean of the matches), objects,
        objects_found, switches, and HOTA, DetA and AssA in per cent.

    Raises:
        InputError: trackeval is missing.
        EngineError: the engine cannot run here, or frames failed.
    """
    config = config or RunConfig()
    load_trackeval()  # before the drive is recorded
    drive = SampleDrive()
    with TemporaryDirectory(prefix="roadmask-") as folder:
        store = Path(folder) / "drive.zarr"
        result = record_drive({_CAMERA: "synthetic:"}, store, config, on_progress=on_progress)
        if result.exit_code:
            raise EngineError(f"expected all frames of the sample drive to be stored, got {result.cameras[0].ledger}.")
        camera = open_drive(store)[_CAMERA]
        frames = [camera.frame(position) for position in range(len(camera))]
    truths = [drive.truth(frame.frame_index) for frame in frames]
    score = score_drive([frame.instances for frame in frames], truths, [frame.track_ids for frame in frames])
    return _records(score, frames, truths)


def _records(score: DriveScore, frames: Sequence[StoredFrame], truths: Sequence[TruthFrame]) -> list[dict[str, Any]]:
    sequences = [_sequence(each.category_id, each.name, frames, truths) for each in score.classes]
    measured = {each.class_name: each.values for each in measure_sequences(sequences) if each.sequence == _CAMERA}
    return [
        {
            "class": each.name,
            "frames": score.frames,
            "recall": round(each.recall, 4),
            "precision": round(each.precision, 4),
            "mask_iou": round(each.mean_iou, 4),
            "objects": each.objects,
            "objects_found": each.objects_found,
            "switches": each.id_switches,
            **{name: round(measured[each.name][name], 2) for name in _MEASURES},
        }
        for each in score.classes
    ]


def _sequence(category_id: int, name: str, frames: Sequence[StoredFrame], truths: Sequence[TruthFrame]) -> SequenceData:
    """Returns one class as trackeval takes it, without the objects that are too small to count."""
    counted = [
        count_frame(frame.instances, truth, frame.track_ids, category_id)
        for frame, truth in zip(frames, truths, strict=True)
    ]
    return SequenceData(
        _CAMERA,
        name,
        tuple(each.object_ids for each in counted),
        tuple(each.track_ids.astype(np.int64) for each in counted),
        tuple(each.iou for each in counted),
    )
