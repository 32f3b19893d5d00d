"""`roadmask track`: ids for the detections of any detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from roadmask.engines.errors import InputError
from roadmask.streaming.formats.kitti import KittiFormat, sequence_files


def track(
    detections: Annotated[
        Path, typer.Option(help="Folder with a file for each sequence; ids in it are ignored.", show_default=False)
    ],
    kind: Annotated[KittiFormat, typer.Option("--format", help="Of the files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write the tracks to, in the same format.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option(help="TOML whose \\[tracker] is used; see configs/.", show_default=False)
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames per second of the sequences.", min=0.01, max=1000)] = 10.0,
    shuffle: Annotated[
        int | None,
        typer.Option(
            metavar="SEED", help="Shuffle the rows of each frame: proves that order tells nothing.", show_default=False
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Look at every n-th frame only.", min=1)] = 1,
    coast: Annotated[
        float | None,
        typer.Option(
            help="Longest time for which a track goes on unseen where the detector is likelier to have missed it, "
            "seconds; 0: never.",
            show_default="0.35",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at the whole sequence again: join tracks, fill gaps.")
    ] = False,
    join_gap: Annotated[
        float | None, typer.Option(help="Longest gap to join over, seconds; 0: none.", show_default="2")
    ] = None,
    fill_gap: Annotated[
        float | None, typer.Option(help="Longest gap to fill, seconds; 0: none.", show_default="1")
    ] = None,
) -> None:
    """Tracks cars and pedestrians that some detector found, frame by frame as if they came from a live camera.

    A row leaves as it came but for its id; rows that belong to no track are left out. Where a detector misses much,
    tracks that it missed get rows of their own, see --coast. With --offline later frames are
    known, too: tracks are joined over gaps, and short gaps are filled with rows that nobody detected. Exit codes: 0,
    or 2 for files that cannot be used.
    """
    from roadmask.streaming.config import RunConfig, load_config
    from roadmask.streaming.formats.tracking import track_sequence
    from roadmask.tracking import OfflineConfig

    if out.resolve() == detections.resolve():
        raise InputError(f"expected --out to be another folder than --detections, got {out} for both.")
    settings = (load_config(config) if config else RunConfig()).tracker
    if not offline and (join_gap is not None or fill_gap is not None):
        raise InputError("--join-gap and --fill-gap belong to the offline pass: add --offline.")
    if offline and coast is not None:
        raise InputError("--coast is for tracking without later frames: leave out --offline, or --coast.")
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
            + (f", {summary.filled} rows {'filled in' if offline else 'unseen'}" if offline or summary.filled else "")
        )
