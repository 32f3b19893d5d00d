"""Watches the sample drive as if it were driven now: two cameras, a page in the browser, a store that fills.

    make live-demo

The drive is rendered into two videos once, each repeated for some minutes; `replay:` then plays them at their own pace.
Your own camera is one command away: `roadmask live rtsp://HOST/PATH`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from roadmask.cli import main as roadmask
from roadmask.evaluation.speed.clips import lengthened
from roadmask.streaming.frames import Frame
from roadmask.streaming.sinks.video_writer import VideoWriter
from roadmask.streaming.sources import open_camera

OUT = Path("out/live-demo")
CAMERAS = {"front": "synthetic:?fps=10", "rear": "synthetic:rear?fps=10"}
MINUTES = 5


def main() -> None:
    """Renders what is not there yet, then runs `roadmask live`; Ctrl-C ends it."""
    OUT.mkdir(parents=True, exist_ok=True)
    videos = {camera: OUT / f"{camera}.mp4" for camera in CAMERAS}
    console = Console()
    for camera, video in videos.items():
        if not video.exists():
            with console.status(f"Rendering {video}"):
                render(camera, video)
    store = OUT / "drive.zarr"
    shutil.rmtree(store, ignore_errors=True)
    replays = [f"{camera}=replay:{video}" for camera, video in videos.items()]
    sys.argv = ["roadmask", "live", *replays, "--out", str(store), "--open"]
    roadmask()


def render(camera: str, video: Path) -> None:
    """Writes one camera's drive, repeated."""
    once = video.with_suffix(".once.mp4")
    with open_camera(camera, [CAMERAS[camera]]) as source, VideoWriter(once) as writer:
        for item in source:
            if isinstance(item, Frame):
                writer.write(item.image, item.timestamp_ns)
    lengthened(once, video, MINUTES * 6)
    once.unlink()


if __name__ == "__main__":
    main()
