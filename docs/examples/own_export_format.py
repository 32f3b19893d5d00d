"""An export format of your own: a text file in the format of the MOT challenge, one line for each tracked instance."""

from __future__ import annotations

from pathlib import Path

from roadmask.extend import ExportJob


def write(job: ExportJob, path: Path) -> None:
    """Writes frame number (from 1), track id, left, top, width, height and score of each tracked instance."""
    job.only_camera("mot")
    with path.open("w", encoding="ascii") as file:
        for _, frame in job.frames():
            for track_id, box, score in zip(
                frame.track_ids.tolist(), frame.instances.boxes.tolist(), frame.instances.scores.tolist(), strict=True
            ):
                if track_id:
                    x1, y1, x2, y2 = box
                    place = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                    file.write(f"{frame.frame_index + 1},{track_id},{place},{score:.4f},-1,-1,-1\n")
