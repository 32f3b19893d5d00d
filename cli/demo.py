"""`roadmask demo`: records a part of the sample drive, or a video, and shows what was found and how long it took."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from roadmask.engines.errors import InputError

if TYPE_CHECKING:
    from roadmask.sample_drive import DriveScore
    from roadmask.streaming.recording.result import CameraProgress

_CAMERA = "front"
_SAMPLE = "synthetic:"
_SAMPLE_FRAMES = 100
"""Number of frames of the sample drive that are recorded: the first four seconds."""


def demo(
    source: Annotated[
        str, typer.Argument(help="A video of your own; by default a part of the sample drive.", show_default=False)
    ] = _SAMPLE,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results; those of an earlier demo are replaced.")
    ] = Path("roadmask-demo"),
) -> None:
    """Records the first four seconds of the sample drive, and compares the masks with the truth.

    roadmask renders the sample drive, and knows the truth of every pixel. A video of your own is recorded as a whole,
    without a comparison. Exit codes are those of `roadmask run`.
    """
    from roadmask.cli.progress import camera_bars, interruptible
    from roadmask.cli.tables import found_table, ledger_table
    from roadmask.streaming.config import RunConfig
    from roadmask.streaming.recording.drive import record_drive
    from roadmask.streaming.store import summarize_drive

    console, parts = Console(highlight=False), _Parts()
    is_sample = source == _SAMPLE
    console.print(_sample_announcement() if is_sample else f"Recording {source}.", soft_wrap=True)
    drive, overlay = _make_room(out)
    parts.end("start of the program")
    with interruptible(console) as stop, camera_bars(Console(stderr=True)) as show:

        def on_progress(progress: dict[str, CameraProgress]) -> None:
            # The first call comes before the network is loaded, the second one when frames are read.
            if any(camera.frames for camera in progress.values()) and len(parts.seconds) == 1:
                parts.end("network ready, first frames recorded")
            show(progress)

        config = RunConfig(max_frames=_SAMPLE_FRAMES if is_sample else None)
        result = record_drive(
            {_CAMERA: source},
            drive,
            config,
            overlay=overlay,
            on_progress=on_progress,
            stop=stop,
            command="roadmask demo",
        )
    parts.end("all frames segmented, tracked, stored and drawn")
    console.print(found_table(summarize_drive(drive)))
    if is_sample:
        console.print(_score_table(_score(drive)))
        parts.end("comparison with the truth")
    console.print(ledger_table([(camera.camera, camera.ledger) for camera in result.cameras]), parts.table(), sep="\n")
    console.print(f"masks  {drive}", f"video  {overlay}", sep="\n", soft_wrap=True)
    sys.exit(result.exit_code)


class _Parts:
    """The parts of the demo and how long each took, from the start of the process on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = psutil.Process().create_time()

    def end(self, name: str) -> None:
        """Ends a part."""
        now = time.time()
        self.seconds[name] = now - self._began
        self._began = now

    def table(self) -> Table:
        table = Table("part", title="Time", title_justify="left")
        table.add_column("s", justify="right")
        for name, seconds in self.seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_row("together", f"{sum(self.seconds.values()):.1f}")
        return table


def _sample_announcement() -> str:
    from roadmask.sample_drive import SampleDrive

    drive = SampleDrive()
    return (
        f"Recording the first {_SAMPLE_FRAMES / drive.fps:g} s of the sample drive, {_SAMPLE_FRAMES} of its "
        f"{len(drive)} frames. `roadmask run {_SAMPLE} --out drive.zarr` records all of it."
    )


def _make_room(out: Path) -> tuple[Path, Path]:
    """Returns the paths of the store and the overlay, and removes those of an earlier demo."""
    from roadmask.streaming.store import open_drive

    drive, overlay = out / "drive.zarr", out / "overlay.mp4"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if drive.exists():
            open_drive(drive)  # raises if it is not a store, which must not be removed
            shutil.rmtree(drive)
        overlay.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out} ({error.strerror}): choose another folder with --out.") from error
    return drive, overlay


def _score(drive: Path) -> DriveScore:
    from roadmask.sample_drive import SampleDrive
    from roadmask.streaming.store import open_drive

    return SampleDrive().score(open_drive(drive)[_CAMERA])


def _score_table(score: DriveScore) -> Table:
    title = "Compared with the truth, at mask IoU 0.5, for objects that show at least 20 px"
    table = Table("class", title=title, title_justify="left")
    for heading in ("recall", "precision", "mean mask IoU", "objects", "found", "id switches"):
        table.add_column(heading, justify="right")
    for each in score.classes:
        shares = (each.recall, each.precision, each.mean_iou)
        counts = (each.objects, each.objects_found, each.id_switches)
        table.add_row(each.name, *(f"{share:.2f}" for share in shares), *map(str, counts))
    return table
