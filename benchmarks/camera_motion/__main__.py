"""`python -m benchmarks.camera_motion`: what knowing the camera's motion is worth to the tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.camera_motion.measuring import (
    SHAKES,
    benchmark_camera_motion,
    image_scene,
    mots_scenes,
    sample_drive_scene,
)
from benchmarks.command import instrument_app, run_instrument
from roadmask.cli.records import JsonOption, show_records
from roadmask.engines import load_segmenter
from roadmask.engines.errors import InputError
from roadmask.streaming.results_json import write_results


def camera_motion(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds kitti_drive and kitti_mots_gt.", show_default="the sample drive alone is measured"
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=2, max=100, help="Number of frames of the sample drive.")] = 100,
    shake: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=0.2,
            help="Amplitude of the shake as a share of the image width. Repeat for several.",
            show_default="0, .02, .05, .1",
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measures what knowing the camera's motion is worth, on scenes that are shaken by known amounts.

    Each scene is tracked without camera motion, and with the motion estimated from the boxes, from the images and from
    the vehicle's own pose. The ground truth is known for the sample drive and for kitti_mots_gt, which has no images;
    of kitti_drive, it is what `lite` finds.
    """
    console = Console(highlight=False)
    with console.status("Tracking shaken scenes"):
        scenes = [sample_drive_scene(frames)]
        if data is not None:
            for name in ("kitti_drive", "kitti_mots_gt"):
                if not (data / name).is_dir():
                    raise InputError(f"expected the folder {name} in --data {data}, there is none.")
            scenes.append(image_scene(data / "kitti_drive", load_segmenter("lite")))
            scenes += mots_scenes(data / "kitti_mots_gt")
        results = benchmark_camera_motion(scenes, shake or SHAKES)
    show_records(console, "What knowing the camera's motion is worth", results)
    if json is not None:
        write_results(json, results)


app = instrument_app(camera_motion)

if __name__ == "__main__":
    run_instrument(app)
