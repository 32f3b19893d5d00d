"""`roadmask run`: recorded cameras in, a store of tracked masks out."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from roadmask.cli.engine_options import (
    ClassesOption,
    DetectEveryOption,
    EngineOption,
    InputSizeOption,
    PrecisionOption,
    ScoreMinOption,
    ThreadsOption,
    WeightsOption,
)
from roadmask.engines.errors import InputError
from roadmask.streaming.sources.registry import expected_sources

if TYPE_CHECKING:
    from roadmask.streaming.config import RunConfig
    from roadmask.streaming.recording.result import RunResult

_log = logging.getLogger(__name__)


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE...",
            help=f"Each is {expected_sources()}. Several names are several cameras; several files under one name are "
            "its chapters, joined by time.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Store to write; must not exist, except with --resume. [dim]Default: my.zarr beside my.mp4, or "
            "my-2.zarr if that exists, with an overlay video beside it[/]",
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC",
            help="Record only this topic of a bag; repeat for several. Default: every camera in it.",
            show_default=False,
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Also draw the tracks into this video. With several cameras, one video each: out.NAME.mp4."),
    ] = None,
    mcap: Annotated[
        Path | None,
        typer.Option(
            help="Also write the tracks as ROS 2 messages into this bag. With several cameras, one each: out.NAME.mcap."
        ),
    ] = None,
    weights: WeightsOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    classes: ClassesOption = None,
    score_min: ScoreMinOption = None,
    input_size: InputSizeOption = None,
    threads: ThreadsOption = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]REGION",
            help="Drop instances that lie in a region: a mask image, white inside the region and scaled to the images, "
            "or a polygon 'x,y x,y x,y' in pixels.",
        ),
    ] = None,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE",
            help="Calibration of a camera, which gives distances in metres: ROS CameraInfo, KITTI, nuScenes, OpenCV, "
            "Kalibr or openpilot.",
        ),
    ] = None,
    camera_height: Annotated[
        float | None,
        typer.Option(
            metavar="METRES", help="Height of the camera over the road, if the calibration does not state it."
        ),
    ] = None,
    camera_pitch: Annotated[
        float | None, typer.Option(metavar="DEGREES", help="Angle by which the camera looks down, likewise.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with these and more settings; options given here take precedence."),
    ] = None,
    max_frames: Annotated[int | None, typer.Option(help="Maximum number of frames to read from each camera.")] = None,
    detect_every: DetectEveryOption = None,
    log_json: Annotated[Path | None, typer.Option(help="Also log to this file, one JSON object per line.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue a run that was killed or interrupted at its last commit; if there is none, start one. "
            "Use the same sources and options as before.",
        ),
    ] = False,
    ray: Annotated[
        bool | None,
        typer.Option(
            "--ray/--no-ray",
            help="Use several processes. [dim]Default: with two or more cameras[/]",
        ),
    ] = None,
) -> None:
    """Segment, track and store recorded cameras.

    Exit codes: 0 all frames stored, 2 unusable input or arguments, 3 some frames failed (the rest is stored),
    4 the store failed (committed frames are safe), 130 interrupted by Ctrl-C, SIGTERM or SIGHUP.

    [bold]roadmask run drive.mp4[/]

    [bold]roadmask run drive.mp4 --out drive.zarr --overlay drive-masks.mp4[/]

    [bold]roadmask run drive.mcap --out drive.zarr[/]

    [bold]roadmask run front=front.mp4 rear=rear_1.mp4 rear=rear_2.mp4 -o drive.zarr[/]
    """
    from roadmask.cli.default_out import free_outputs, resumed_store
    from roadmask.cli.json_log import json_log
    from roadmask.cli.progress import camera_bars, interruptible
    from roadmask.cli.tables import found_sentence, found_table, ledger_table
    from roadmask.streaming.recording.drive import record_drive
    from roadmask.streaming.recording.jobs import camera_jobs
    from roadmask.streaming.redaction import redact_command
    from roadmask.streaming.sinks.bag import bag_path, bag_sinks
    from roadmask.streaming.sources.bags.cameras import with_topics
    from roadmask.streaming.store import summarize_drive

    console = Console(stderr=True)
    command = redact_command(sys.argv)
    with json_log(log_json):
        settings = run_settings(
            config,
            weights,
            engine,
            precision,
            classes,
            score_min,
            input_size,
            threads,
            ignore,
            max_frames,
            detect_every,
        )
        settings = calibrated_settings(settings, calibration, camera_height, camera_pitch)
        given = with_topics(sources, topic or [])
        jobs = camera_jobs(given, overlay)
        if out is None:
            out = resumed_store(jobs) if resume else None
            if out is None:
                chosen = free_outputs(jobs)
                out = chosen.store
                jobs = camera_jobs(given, overlay or chosen.overlay)
        bags = [bag_path(mcap, job.camera, several=len(jobs) > 1) for job in jobs] if mcap is not None else []
        if mcap is not None:
            _require_bags(bags, resume=resume and out.exists())
            jobs = camera_jobs(jobs, sinks=partial(bag_sinks, mcap, len(jobs) > 1))
        _log.debug("run started", extra={"command": command, "config": settings.describe()})
        started = time.monotonic()
        with interruptible(console) as stop, camera_bars(console) as on_progress:
            result = record_drive(
                jobs,
                out,
                settings,
                on_ray=len(jobs) > 1 if ray is None else ray,
                on_progress=on_progress,
                stop=stop,
                command=command,
                resume=resume,
            )
        seconds = time.monotonic() - started
        ledgers = [(camera.camera, camera.ledger) for camera in result.cameras]
        summary = summarize_drive(out)
        console.print(found_table(summary), ledger_table(ledgers, seconds), found_sentence(summary), sep="\n")
        _print_problems(console, result)
        if result.finished_before:
            console.print("Nothing to do: an earlier run stored all frames.")
        if result.interrupted:
            console.print(f"[yellow]Interrupted. To resume:[/] {escape(_resuming(sys.argv, out))}", soft_wrap=True)
        console.print(f"To look at it: [bold]roadmask view {escape(shlex.quote(str(out)))}[/]", soft_wrap=True)
        for path in (out, *(job.overlay for job in jobs if job.overlay), *bags):
            typer.echo(path)
        _log.debug(
            "run ended",
            extra={
                "exit_code": result.exit_code,
                "seconds": round(seconds, 3),
                "ledgers": {camera.camera: camera.ledger.to_dict() for camera in result.cameras},
            },
        )
    sys.exit(result.exit_code)


def _require_bags(bags: list[Path], *, resume: bool) -> None:
    from roadmask.streaming.sinks.bag import require_bag_writable

    if resume:
        raise InputError(
            "A bag of tracks cannot be resumed: run again without --mcap, then write it from the finished store with "
            "`roadmask export --to mcap`."
        )
    for bag in bags:
        require_bag_writable(bag)


def run_settings(
    config: Path | None,
    weights: str | None,
    engine: str | None,
    precision: str | None,
    classes: str | None,
    score_min: float | None,
    input_size: str | None,
    threads: int | None,
    ignore: list[str] | None,
    max_frames: int | None,
    detect_every: int | None = None,
) -> RunConfig:
    """Returns the settings of a file, or the defaults, overridden by the options that were given."""
    from roadmask.streaming.config import RunConfig, load_config, overridden

    settings = load_config(config) if config is not None else RunConfig()
    settings = overridden(
        settings,
        weights=weights,
        engine=engine,
        precision=precision,
        classes=tuple(name.strip() for name in classes.split(",")) if classes is not None else None,
        score_min=score_min,
        input_size=input_size,
        threads=threads,
    )
    if ignore:
        settings = replace(settings, ignore={**settings.ignore, **dict(map(_named, ignore))})
    if max_frames is not None:
        settings = replace(settings, max_frames=max_frames)
    return settings if detect_every is None else replace(settings, detect_every=detect_every)


def calibrated_settings(
    settings: RunConfig, calibration: list[str] | None, camera_height: float | None, camera_pitch: float | None
) -> RunConfig:
    """Returns the settings with the options about calibration that were given."""
    given: dict[str, Any] = {"camera_height": camera_height, "camera_pitch": camera_pitch}
    if calibration:
        given["calibration"] = {**settings.calibration, **dict(map(_named, calibration))}
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    named = equals and not Path(text).exists()  # the path of a file may contain "="
    return (name, value) if named else ("*", text)


def _resuming(arguments: list[str], out: Path) -> str:
    """Returns the command that resumes this one, without its overlay and bag, which cannot be resumed."""
    kept = ["roadmask", *arguments[1:]]
    for n in range(len(kept) - 1, 0, -1):
        if kept[n] in ("--overlay", "--mcap"):
            del kept[n : n + 2]
        elif kept[n].startswith(("--overlay=", "--mcap=")):
            del kept[n]
    if not any(each.startswith(("-o", "--out")) for each in kept):
        kept += ["--out", str(out)]
    return shlex.join(kept if "--resume" in kept else [*kept, "--resume"])


def _print_problems(console: Console, result: RunResult) -> None:
    for camera in result.cameras:
        if camera.problem:
            console.print(f"[yellow]camera {camera.camera} ended early:[/] {escape(camera.problem)}")
        for reason, count in camera.failures.items():
            console.print(f"[yellow]camera {camera.camera}, {count} frames failed:[/] {escape(reason)}")
