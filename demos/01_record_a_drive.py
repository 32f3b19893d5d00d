"""Records a drive twice, and shows what was found.

    make demo                      the sample drive, and how right the result is
    make demo SOURCE=my.mp4        your own video

First the drive runs as one camera in this process, then as two cameras on Ray; both must store the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from roadmask.cli.progress import camera_bars
from roadmask.cli.tables import found_table, ledger_table
from roadmask.engines import RoadmaskError
from roadmask.sample_drive import SampleDrive, score_drive
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.store import CameraReader, open_drive, summarize_drive
from roadmask.streaming.store.compare import differing_files
from roadmask.streaming.store.summary_plot import plot_summary

SAMPLE_DRIVE = "synthetic:"
SAMPLE_DRIVE_REAR = "synthetic:rear?fps=5"
OUT = Path("out/demo")


def main() -> None:
    """Runs the demo into out/demo, which is made anew each time."""
    source = sys.argv[1] if len(sys.argv) > 1 else SAMPLE_DRIVE
    second_source = SAMPLE_DRIVE_REAR if source == SAMPLE_DRIVE else source
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    drive, pair, overlay, summary = (OUT / n for n in ("drive.zarr", "pair.zarr", "overlay.mp4", "summary.png"))
    console = Console()

    console.rule("One camera, in this process")
    with camera_bars(console) as on_progress:
        result = record_drive({"front": source}, drive, overlay=overlay, on_progress=on_progress)

    console.rule("Two cameras, on Ray")
    with camera_bars(console) as on_progress:
        record_drive({"front": source, "rear": second_source}, pair, on_ray=True, on_progress=on_progress)
    different = differing_files(drive / "front", pair / "front")
    if different:
        sys.exit(f"The stores differ, first in {different[0]}: please report this.")
    console.print("The stores agree: camera [bold]front[/] is the same in both, byte for byte.\n")

    front = open_drive(drive)["front"]
    console.print(found_table(summarize_drive(drive)))
    console.print(ledger_table((camera.camera, camera.ledger) for camera in result.cameras))
    if source == SAMPLE_DRIVE:
        console.print(truth_table(front))
    plot_summary(drive, summary)
    for what, path in (("masks", drive), ("video", overlay), ("summary", summary)):
        console.print(f"{what:>8}  {path}")


def truth_table(camera: CameraReader) -> Table:
    """Compares what is stored with what the sample drive's renderer knows."""
    rendered = SampleDrive()
    stored = [camera.frame(position) for position in range(len(camera))]
    truths = [rendered.truth(frame.frame_index) for frame in stored]
    score = score_drive([frame.instances for frame in stored], truths, [frame.track_ids for frame in stored])
    title = "How right: at mask IoU 0.5, of objects that show 20 px and more"
    table = Table("class", title=title, title_justify="left")
    for heading in ("recall", "precision", "mean mask IoU", "objects found", "id switches"):
        table.add_column(heading, justify="right")
    for row in score.classes:
        table.add_row(
            row.name,
            f"{row.recall:.2f}",
            f"{row.precision:.2f}",
            f"{row.mean_iou:.2f}",
            f"{row.objects_found} of {row.objects}",
            str(row.id_switches),
        )
    return table


if __name__ == "__main__":
    try:
        main()
    except RoadmaskError as error:
        sys.exit(f"error: {error}")
