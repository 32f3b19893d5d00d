"""Records a drive twice, and shows what was found.

    make demo                      the sample drive, with its truth
    make demo SOURCE=my.mp4        your own video

First the drive runs as one camera in this process, then as two cameras on Ray; both must store the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from roadmask.demos.sample_drive.report import truth_table
from roadmask.streaming.cli.progress import record_with_progress
from roadmask.streaming.cli.tables import found_table, ledger_table
from roadmask.streaming.config import RunConfig
from roadmask.streaming.jobs import CameraJob
from roadmask.streaming.plot import plot_summary
from roadmask.streaming.store import open_drive
from roadmask.streaming.store.compare import differing_files

SAMPLE_DRIVE = "synthetic:"
SAMPLE_DRIVE_REAR = "synthetic:rear?fps=10"


def main() -> None:
    """Runs the demo in out/demo, which is made anew each time."""
    source = sys.argv[1] if len(sys.argv) > 1 else SAMPLE_DRIVE
    other = SAMPLE_DRIVE_REAR if source == SAMPLE_DRIVE else source
    out = Path("out/demo")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    store, overlay, summary = out / "drive.zarr", out / "overlay.mp4", out / "summary.png"
    console = Console()
    config = RunConfig()

    console.rule("One camera, in this process")
    front = CameraJob("front", (source,), overlay)
    result = record_with_progress(console, [front], config, store)

    console.rule("Two cameras, on Ray")
    pair = out / "two_cameras.zarr"
    record_with_progress(
        console, [CameraJob("front", (source,)), CameraJob("rear", (other,))], config, pair, on_ray=True
    )
    different = differing_files(store / "front", pair / "front")
    if different:
        sys.exit(f"The stores differ, first in {different[0]}: please report this.")
    console.print("Camera [bold]front[/] is the same in both stores, byte for byte.\n")

    drive = open_drive(store)
    plot_summary(store, summary)
    console.print(found_table(drive))
    console.print(ledger_table(result))
    if source == SAMPLE_DRIVE:
        console.print(truth_table(drive["front"]))
    for what, path in (("masks", store), ("video", overlay), ("summary", summary)):
        console.print(f"{what:>8}  {path}")


if __name__ == "__main__":
    main()
