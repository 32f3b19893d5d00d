"""Measures how a live run recovers from every fault that is known: `python -m benchmarks.chaos CLIP`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.cameras import shrunk
from benchmarks.chaos_stage import FAULTS, OWN_KILLED, ChaosSettings, run_chaos
from roadmask.cli.app import run_program
from roadmask.cli.bench import show_records
from roadmask.engines.errors import StoreError
from roadmask.evaluation.speed.scripted import corner_segmenter
from roadmask.streaming.results_json import write_results


def chaos(
    clip: Annotated[Path, typer.Argument(help="H.264 video in MP4 that the cameras send.", show_default=False)],
    fault: Annotated[
        list[str] | None, typer.Option(help="Run only this fault; repeat the option for several.", show_default="all")
    ] = None,
    calm: Annotated[float, typer.Option(min=1, help="Seconds before each fault.")] = 10.0,
    broken: Annotated[float, typer.Option(min=1, help="Duration of each fault in seconds.")] = 10.0,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Use a scripted engine that takes no time, to measure everything else.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder to work in; a disk of less than 2 GB, such as a tmpfs, is also filled up."),
    ] = None,
    recovered_max: Annotated[
        float, typer.Option(help="Exit 4 if a camera recovered later than this after the fault ended, seconds.")
    ] = 5.0,
    killed_max: Annotated[
        float, typer.Option(help="The same for a process of the run that was killed, counted from the kill.")
    ] = 8.0,
    others_max: Annotated[
        float, typer.Option(help="Exit 4 if the p95 age of the other cameras rose by more than this factor.")
    ] = 2.0,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the records to this file, one for each fault."),
    ] = None,
) -> None:
    """Measures how a live run of four cameras recovers from everything that can happen to it.

    Servers, senders, lines, disk and processes are real; needs GStreamer's RTSP server, see .ci/apt.txt. Exit codes: 0,
    or 4 if something took longer than it may, a ledger did not add up or something stored is damaged.
    """
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as made, console.status("Breaking things"):
        small = shrunk(clip, Path(made) / "small.mp4")
        results = run_chaos(
            clip,
            small,
            ChaosSettings(calm, broken),
            faults=tuple(fault or FAULTS),
            build=corner_segmenter if scripted else None,
            folder=folder,
        )
    show_records(console, "Chaos", [_short(record) for record in results])
    if json is not None:
        write_results(json, results)
    if any(record["unbalanced"] or not record["stored_ok"] for record in results):
        raise StoreError("a ledger did not add up, or something that was stored is damaged: see the table.")
    if slow := missed_limits(results, recovered_max, killed_max, others_max):
        raise StoreError(f"limit missed: {'; '.join(slow)}.")


def missed_limits(
    results: Sequence[Mapping[str, Any]], recovered_max: float, killed_max: float, others_max: float
) -> list[str]:
    """Returns what took longer than it may, for a person to read.

    Args:
        results: of `run_chaos`.
        recovered_max: seconds after the cause ended.
        killed_max: seconds after a process of the run was killed.
        others_max: factor of the other cameras' p95 age.
    """
    missed = []
    for record in results:
        limit = killed_max if record["fault"] in OWN_KILLED else recovered_max
        recovered, ratio = record["recovered_s"], record["others_p95_ratio"]
        if recovered > limit:
            missed.append(f"{record['fault']}: back after {recovered} s > {limit:g} s")
        if ratio is not None and ratio > others_max:
            missed.append(f"{record['fault']}: others {ratio} times as old > {others_max:g}")
    return missed


def _short(record: dict[str, object]) -> dict[str, object]:
    lost = ", ".join(f"{count} {name[5:]}" for name, count in record.items() if name.startswith("lost_"))
    keep = ("fault", "recovered_s", "others_p95_ms_before", "others_p95_ms", "others_p95_ratio", "stored_ok")
    return {name: record[name] for name in keep} | {"lost": lost or "nothing"}


if __name__ == "__main__":
    run_program(partial(typer.run, chaos))
