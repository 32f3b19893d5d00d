"""`roadmask batch`: records many drives, each into its own store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from roadmask.cli.engine_options import PrecisionOption
from roadmask.engines.errors import InputError

if TYPE_CHECKING:
    from roadmask.streaming.batch.batch import BatchPlan
    from roadmask.streaming.batch.plan import Estimate


def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|GLOB...", help="Folders to search, quoted globs, or video files.", show_default=False
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR|URL",
            help="Folder of the stores and the report, or a URL to publish them to, such as [bold]s3://bucket/drives[/].",
            show_default=False,
        ),
    ],
    work: Annotated[
        Path | None,
        typer.Option(help="With a URL: local folder to record in. [dim]Default: roadmask-work[/]", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of drives to record at the same time. [dim]Default: from cores and memory[/]"),
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Record on the Ray cluster at this address, or [bold]auto[/].")
    ] = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            help="Pattern of paths, such as '{drive}/{camera}_{chapter}.mp4'; may be repeated. "
            "[dim]Default: the usual names of cameras and dashcams[/]"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with the settings of a run; options given here take precedence.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights: lite, resnet50, resnet50_v2 or a file.")] = None,
    precision: PrecisionOption = None,
    max_frames: Annotated[int | None, typer.Option(help="Maximum number of frames to record of each camera.")] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Number of threads of each worker's engine. [dim]Default: one for each physical core[/]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its estimated cost, and record nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Record even if the disk seems too small.")] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write a JSON record of each drive to this file.")
    ] = None,
) -> None:
    """Record many drives, each into its own store, and write a report.

    Finished drives are skipped, interrupted ones are resumed at their last commit, and a broken drive does not stop the
    others. Exit codes: 0 all frames of all drives stored, 2 invalid arguments, 3 a drive failed or lost frames, 4 the
    folder cannot be written, 130 interrupted (run the same command again to resume).

    [bold]roadmask batch /mnt/drives --out stores[/]

    [bold]roadmask batch "/mnt/drives/*.mp4" --out s3://bucket/stores --work /fast/disk[/]
    """
    from roadmask.cli.batch_progress import batch_progress
    from roadmask.cli.batch_tables import print_plan, print_result
    from roadmask.cli.run import run_settings
    from roadmask.streaming.batch.batch import BatchSettings, plan_batch, run_batch
    from roadmask.streaming.batch.drives import find_drives
    from roadmask.streaming.batch.outcome import DriveOutcome
    from roadmask.streaming.batch.patterns import Pattern
    from roadmask.streaming.batch.plan import estimate, require_room
    from roadmask.streaming.batch.publishing import PublishedFolder, is_url
    from roadmask.streaming.batch.report import write_report
    from roadmask.streaming.redaction import redact_command
    from roadmask.streaming.results_json import write_results

    console = Console(stderr=True, highlight=False)
    settings = run_settings(config, weights, None, precision, None, None, None, threads, None, max_frames)
    destination = out if is_url(out) else ""
    if work is not None and not destination:
        raise InputError(f"expected --work only with an --out that is a URL, got the folder {out}: remove --work.")
    folder = (work or Path("roadmask-work")) if destination else Path(out)
    found = find_drives(inputs, patterns=[Pattern(text) for text in pattern or []], out=folder)
    batch_settings = BatchSettings(workers, ray_address, command=redact_command(sys.argv), destination=destination)
    with console.status("Reading the drives"):
        plan = plan_batch(found.drives, folder, settings, batch_settings, left_out=found.left_out)
        expected = estimate(plan.drives, plan.workers)
    if dry_run:
        print_plan(console, plan)
    if expected:
        console.print(_expected(expected, plan))
    if dry_run:
        if json is not None:
            write_results(json, _plan_records(plan, expected))
        return
    if expected and not force and not destination:  # published stores are removed from the disk
        require_room(expected, plan.out)
    with batch_progress(console, plan) as (stop, on_change):
        result = run_batch(plan, stop=stop, on_change=on_change)
    print_result(console, result)
    if result.out_error:
        console.print(f"[bold red]error:[/] {escape(result.out_error)}", soft_wrap=True)
    else:
        report = plan.out / "report.html"
        write_report(result, report)
        typer.echo(PublishedFolder(destination).put_report(report) if destination else report)
    if result.interrupted:
        console.print("[yellow]Interrupted: run the same command again to resume.[/]")
    if json is not None:
        left_out = [DriveOutcome(str(path), "left out", reason) for path, reason in result.left_out.items()]
        write_results(json, [outcome.record() for outcome in [*result.outcomes, *left_out]])
    sys.exit(result.exit_code)


def _expected(expected: Estimate, plan: BatchPlan) -> str:
    from roadmask.streaming.batch.report import length, size

    text = (
        f"{expected.frames} frames to record: about {length(expected.seconds)} with {plan.workers} workers of "
        f"{plan.threads} threads, {size(expected.stored_bytes)} of {size(expected.free_bytes)} free "
        f"(from {expected.source})"
    )
    return text + (
        f"; not included: {expected.unknown} drives that do not state their length" if expected.unknown else ""
    )


def _plan_records(plan: BatchPlan, expected: Estimate | None) -> list[dict[str, str | int | float | bool | None]]:
    per_frame = expected and expected.frames
    whole = {
        "workers": plan.workers,
        "threads": plan.threads,
        "batch_frames": expected.frames if expected else 0,
        "batch_seconds": round(expected.seconds, 3) if expected else 0.0,
        "batch_bytes": expected.stored_bytes if expected else 0,
        "batch_files": expected.files if expected else 0,
        "frame_worker_s": round(expected.seconds * plan.workers / expected.frames, 5)
        if expected and per_frame
        else None,
    }
    records: list[dict[str, str | int | float | bool | None]] = [
        {
            "drive": drive.task.drive.name,
            "state": drive.state,
            "reason": drive.problem,
            "cameras": len(drive.task.drive.cameras),
            "frames": drive.frames,
            "video_s": drive.seconds,
            "width": drive.image_size[1],
            "height": drive.image_size[0],
            **whole,
        }
        for drive in plan.drives
    ]
    none = {"cameras": 0, "frames": 0, "video_s": 0.0, "width": 0, "height": 0}
    records += [
        {"drive": str(path), "state": "left out", "reason": reason, **none, **whole}
        for path, reason in plan.left_out.items()
    ]
    return records
