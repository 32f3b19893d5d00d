"""`roadmask track`: tracks the detections of any detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from roadmask.engines.errors import InputError
from roadmask.streaming.formats import KittiFormat


def track(
    detections: Annotated[
        Path,
        typer.Option(
            help="Folder with a file of detections for each sequence; ids in it are ignored.", show_default=False
        ),
    ],
    kind: Annotated[KittiFormat, typer.Option("--format", help="Format of the files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write the tracks to, in the same format.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option(help="TOML file whose \\[tracker] section is used; see configs/.", show_default=False)
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second of the sequences.", min=0.01, max=1000)] = 10.0,
    shuffle: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            help="Shuffle the rows of each frame, to check that their order does not matter.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Track only every n-th frame.", min=1)] = 1,
    coast: Annotated[
        float | None,
        typer.Option(
            help="Longest time in seconds for which a track continues without a detection where the detector probably "
            "missed it; 0 = never.",
            show_default="0.35",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Revise the tracks with the whole sequence: join tracks, fill gaps.")
    ] = False,
    join_gap: Annotated[
        float | None,
        typer.Option(help="Longest gap in seconds over which tracks are joined; 0 = none.", show_default="2"),
    ] = None,
    fill_gap: Annotated[
        float | None, typer.Option(help="Longest gap in seconds that is filled; 0 = none.", show_default="1")
    ] = None,
) -> None:
    """Tracks the cars and pedestrians of any detector, frame by frame as with a live camera.

    Rows are written as they were read, with the id of their track; rows without a track are left out. A track that the
    detector probably missed gets rows of its own, see --coast. With --offline, later frames are used as well: tracks
    are joined over gaps, and short gaps are filled with rows that were not detected. Exit codes: 0 success, 2 unusable
    files or arguments.
    """
    from roadmask.evaluation.tracks.track_sequence import track_sequence
    from roadmask.streaming.config import RunConfig, load_config
    from roadmask.streaming.formats.kitti import sequence_files
    from roadmask.tracking import OfflineConfig

    if out.resolve() == detections.resolve():
        raise InputError(f"expected different folders for --out and --detections, got {out} for both.")
    settings = (load_config(config) if config else RunConfig()).tracker
    if not offline and (join_gap is not None or fill_gap is not None):
        raise InputError("--join-gap and --fill-gap need --offline: add it, or leave them out.")
    if offline and coast is not None:
        raise InputError("--coast and --offline exclude each other: leave one of them out.")
    gaps = {name: value for name, value in (("join_gap_s", join_gap), ("fill_gap_s", fill_gap)) if value is not None}
    again = OfflineConfig(**gaps) if offline else None
    console = Console(highlight=False)
    for name, path in sequence_files(detections).items():
        summary = track_sequence(
            path,
            out / f"{name}.txt",
            kind,
            settings,
            fps=fps,
            every=every,
            shuffle=shuffle,
            offline=again,
            **({} if coast is None else {"coast_s": coast}),
        )
        console.print(
            f"{name}: {summary.frames} frames, {summary.written} of {summary.read} rows in {summary.tracks} tracks"
            + (f", {summary.filled} rows {'filled in' if offline else 'coasting'}" if offline or summary.filled else "")
        )
