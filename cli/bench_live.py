"""`roadmask bench live`, `chaos` and `soak`: how fast a live run is, what it survives, and whether it grows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console


def live(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1)] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="How long it is measured.")] = 30.0,
    show: Annotated[bool, typer.Option("--show", help="Draw the images of a page, too.")] = False,
    scripted: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="MS", help="An engine that only waits so long for an image: measures everything else."
        ),
    ] = None,
    adapt: Annotated[bool, typer.Option(help="Let the rate of images follow the load.")] = True,
    ratio_min: Annotated[float, typer.Option(help="Exit 4 below this share of the engine's speed.")] = 0.0,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the record.")] = None,
) -> None:
    """Measures live cameras against their engine alone: images a second, and how old masks are.

    Exit codes: 0, or 4 where the ratio is too low, a ledger did not add up or something stored is damaged.
    """
    from roadmask.cli.bench import show_records
    from roadmask.engines.errors import StoreError
    from roadmask.evaluation.speed.live import LiveBenchmark, benchmark_live
    from roadmask.streaming.results_json import write_results

    console = Console(highlight=False)
    with console.status("Running"):
        record = benchmark_live(clip, LiveBenchmark(cameras, seconds, show, scripted, adapt))
    stages = tuple(name for name in record if name.endswith("_p95_ms"))
    show_records(console, "Live", [record], leave_out=(*stages, "seconds", "shown"))
    if json is not None:
        write_results(json, [record])
    if record["ratio"] < ratio_min or record["unbalanced"] or not record["stored_ok"]:
        raise StoreError("too slow, a ledger did not add up, or something stored is damaged: see the table.")


def chaos(
    clip: Annotated[Path, typer.Argument(help="H.264 in MP4: what the cameras see.", show_default=False)],
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this one; repeat it for several.", show_default="all")
    ] = None,
    calm: Annotated[float, typer.Option(min=1, help="Seconds before each fault.")] = 10.0,
    broken: Annotated[float, typer.Option(min=1, help="Seconds that a fault lasts.")] = 10.0,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="A scripted engine that takes no time: measures everything else.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to work; on a disk of less than 2 GB, such as a tmpfs, the disk is filled up, too."),
    ] = None,
    recovered_max: Annotated[
        float, typer.Option(help="Exit 4 where a camera came back later than this after its cause ended, seconds.")
    ] = 5.0,
    killed_max: Annotated[
        float, typer.Option(help="The same of a process of ours that was killed, from the kill on.")
    ] = 8.0,
    others_max: Annotated[
        float, typer.Option(help="Exit 4 where the other cameras' p95 age rose by more than this factor.")
    ] = 2.0,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write a record for each fault.")
    ] = None,
) -> None:
    """Measures how a live run of four cameras comes back from everything that can happen to it.

    Servers, senders, lines, disk and processes are real; needs GStreamer's RTSP server, see .ci/apt.txt. Exit codes: 0,
    or 4 where something took longer than it may, a ledger did not add up or something stored is damaged.
    """
    from benchmarks.chaos import FAULTS, ChaosSettings, run_chaos
    from roadmask.cli.bench import show_records
    from roadmask.engines.errors import StoreError
    from roadmask.evaluation.speed.cameras import shrunk
    from roadmask.evaluation.speed.scripted import corner_segmenter
    from roadmask.streaming.results_json import write_results

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
        killed_max: seconds after a process of ours was killed.
        others_max: factor of the other cameras' p95 age.
    """
    from benchmarks.chaos import OWN_KILLED

    missed = []
    for record in results:
        limit = killed_max if record["fault"] in OWN_KILLED else recovered_max
        recovered, ratio = record["recovered_s"], record["others_p95_ratio"]
        if recovered > limit:
            missed.append(f"{record['fault']}: back after {recovered} s > {limit:g} s")
        if ratio is not None and ratio > others_max:
            missed.append(f"{record['fault']}: others {ratio} times as old > {others_max:g}")
    return missed


def soak(
    clip: Annotated[Path, typer.Argument(help="A video that every camera replays.", show_default=False)],
    cameras: Annotated[int, typer.Option(min=1)] = 4,
    minutes: Annotated[float, typer.Option(min=0.5)] = 30.0,
    settle: Annotated[float, typer.Option(min=0.1, help="Minutes after which growth counts.")] = 2.0,
    growth_max: Annotated[
        float, typer.Option(help="Exit 4 where a process grew by more, MB; files and threads: by more than 4.")
    ] = 50.0,
    keep: Annotated[str | None, typer.Option(metavar="2h|50GB", help="As of `roadmask live`.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the records.")] = None,
) -> None:
    """Runs live cameras with store and page for long, and measures what every process gains.

    Exit codes: 0, or 4 where a process or the object store grew too much, anything was spilled, a ledger did not add up
    or something stored is damaged.
    """
    from benchmarks.soak import WHOLE, SoakSettings, run_soak
    from roadmask.cli.bench import show_records
    from roadmask.engines.errors import StoreError
    from roadmask.streaming.live.keep import Keep
    from roadmask.streaming.results_json import write_results

    console = Console(highlight=False)
    kept = None if keep is None else Keep.parse(keep)
    with console.status("Soaking"):
        results = run_soak(clip, SoakSettings(cameras, minutes, settle, kept))
    whole = {name: results[0][name] for name in WHOLE}
    show_records(console, "Soak", [whole])
    show_records(console, "Processes", results, leave_out=WHOLE)
    if json is not None:
        write_results(json, results)
    grown = max(whole["objects_growth_mb"], *(record["uss_growth_mb"] for record in results))
    more = max(record[name] for record in results for name in ("files_growth", "threads_growth"))
    if grown > growth_max or more > 4 or whole["spilled_bytes"]:
        raise StoreError("a process or the object store grew, or something was spilled: see the tables.")
    if whole["unbalanced"] or not whole["stored_ok"]:
        raise StoreError("a ledger did not add up, or something stored is damaged: see the tables.")


def _short(record: dict[str, object]) -> dict[str, object]:
    lost = ", ".join(f"{count} {name[5:]}" for name, count in record.items() if name.startswith("lost_"))
    keep = ("fault", "recovered_s", "others_p95_ms_before", "others_p95_ms", "others_p95_ratio", "stored_ok")
    return {name: record[name] for name in keep} | {"lost": lost or "nothing"}
