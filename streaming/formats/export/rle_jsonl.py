"""JSON lines: one object for each instance."""

from __future__ import annotations

import json
from pathlib import Path

from roadmask.streaming.formats.export.job import ExportJob, since_detected, wall_clock_text


def write(job: ExportJob, path: Path) -> None:
    """Writes a line for each instance, in the order of the store; frames without one have no line."""
    with path.open("w", encoding="ascii") as file:
        for camera, frame in job.frames():
            seen = frame.instances
            if not len(seen):
                continue
            assert seen.masks is not None  # noqa: S101 - a store keeps masks
            captured = wall_clock_text(camera, frame.timestamp_ns, frame.epoch)
            for n, counts in enumerate(seen.masks.to_rle().counts):
                row = {
                    "camera": camera.name,
                    "epoch": frame.epoch,
                    "frame_index": frame.frame_index,
                    "timestamp_ns": frame.timestamp_ns,
                    **({"captured_at": captured} if captured else {}),
                    "track_id": int(frame.track_ids[n]),
                    "state": int(frame.states[n]),
                    "category_id": int(seen.category_ids[n]),
                    "class": camera.class_name(int(seen.category_ids[n])),
                    "score": float(seen.scores[n]),
                    "box": seen.boxes[n].tolist(),
                    "size": list(seen.image_size),
                    "counts": counts.decode("ascii"),
                    **since_detected(seen, n),
                    **({} if frame.distances is None else frame.distances.record(n)),
                }
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
