"""`python -m benchmarks.chaos`: how a live run recovers from each fault that is known."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.cameras import shrunk
from benchmarks.chaos.faults import FAULTS, OWN_KILLED
from benchmarks.chaos.measuring import ChaosSettings, run_chaos
from benchmarks.command import instrument_app, run_instrument
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines.errors import StoreError
from roadmask.evaluation.speed.scripted import corner_segmenter
from roadmask.streaming.results_json import write_results


def chaos(
    clip: Annotated[Path, typer.Argument(help="H.264 in MP4 that the cameras show.", show_default=False)],
    fault: Annotated[
        list[str] | None, typer.Option(help="Name of a fault. Repeat for several.", show_default="all")
    ] = None,
    calm: Annotated[float, typer.Option(min=1, help="Seconds before each fault.")] = 10.0,
    broken: Annotated[float, typer.Option(min=1, help="Seconds that a fault lasts.")] = 10.0,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Use a scripted engine that takes no time, to measure everything else.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Working folder. On a disk below 2 GB, such as a tmpfs, the disk is also filled up.",
            show_default="a temporary one",
        ),
    ] = None,
    recovered_max: Annotated[
        float,
        typer.Option(help="Exit 4 if a camera needs more seconds to recover once the cause of its fault has ended."),
    ] = 5.0,
    killed_max: Annotated[
        float, typer.Option(help="Exit 4 if a camera needs more seconds to recover from the kill of our process.")
    ] = 8.0,
    others_max: Annotated[
        float, typer.Option(help="Exit 4 if the p95 age of the other cameras' masks rises by more than this factor.")
    ] = 2.0,
    json: JsonOption = None,
) -> None:
    """Measures how a live run of four cameras recovers from every fault that is known.

    Servers, senders, lines, disk and processes are real. Needs GStreamer's RTSP server, see .ci/apt.txt. Exit codes: 0,
    or 4 if a limit is missed, a ledger does not add up or the store is damaged.
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
        raise StoreError("a ledger did not add up, or the store is damaged: see the table.")
    if slow := missed_limits(results, recovered_max, killed_max, others_max):
        raise StoreError(f"limit missed: {'; '.join(slow)}.")


def missed_limits(
    results: Sequence[Mapping[str, Any]], recovered_max: float, killed_max: float, others_max: float
) -> list[str]:
    """Returns a message for each limit that a record misses.

    Args:
        results: records of `run_chaos`.
        recovered_max: seconds to recover after the cause ended.
        killed_max: seconds to recover after a process of ours was killed.
        others_max: factor of the p95 age of the other cameras' masks.
    """
    missed = []
    for record in results:
        limit = killed_max if record["fault"] in OWN_KILLED else recovered_max
        recovered, ratio = record["recovered_s"], record["others_p95_ratio"]
        if recovered > limit:
            missed.append(f"{record['fault']}: recovered after {recovered} s > {limit:g} s")
        if ratio is not None and ratio > others_max:
            missed.append(f"{record['fault']}: others {ratio} times as old > {others_max:g}")
    return missed


def _short(record: dict[str, object]) -> dict[str, object]:
    lost = ", ".join(f"{count} {name[5:]}" for name, count in record.items() if name.startswith("lost_"))
    shown = ("fault", "recovered_s", "others_p95_ms_before", "others_p95_ms", "others_p95_ratio", "stored_ok")
    return {name: record[name] for name in shown} | {"lost": lost or "nothing"}


app = instrument_app(chaos)

if __name__ == "__main__":
    run_instrument(app)
