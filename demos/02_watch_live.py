"""Watches the sample drive as if it were driven now: two cameras, a page in the browser, a store that fills.

    make live-demo

The drive is rendered into two videos once, each repeated for some minutes; `replay:` then plays them at their own pace.
For your own camera, pass its address to `run_live`, for instance `{"front": "rtsp://HOST/PATH"}`.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import webbrowser
from pathlib import Path

import cv2
from rich.console import Console

import roadmask

OUT = Path("out/live-demo")
SOURCES = {"front": "synthetic:?fps=10", "rear": "synthetic:rear?fps=10"}
FPS, REPEATS = 10, 30


def main() -> None:
    """Renders what is not there yet, then runs until Ctrl-C or the end of the videos."""
    OUT.mkdir(parents=True, exist_ok=True)
    console = Console()
    for camera in SOURCES:
        if not video_of(camera).exists():
            with console.status(f"Rendering {video_of(camera)}"):
                render(camera)
    store = OUT / "drive.zarr"
    shutil.rmtree(store, ignore_errors=True)

    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    replays = {camera: f"replay:{video_of(camera)}" for camera in SOURCES}
    with roadmask.LivePage() as page:
        console.print(f"Watch at {page.url}; Ctrl-C ends the run and closes the store.")
        webbrowser.open(page.url)
        result = roadmask.run_live(replays, store, page=page, stop=stop)
    for camera in result.cameras:
        console.print(f"{camera.camera}: {camera.ledger.captured} frames captured: {camera.ledger}")
    console.print(f"masks  {store}")


def video_of(camera: str) -> Path:
    """Returns the path of a camera's video."""
    return OUT / f"{camera}.mp4"


def render(camera: str) -> None:
    """Writes the drive of one camera into a video, again and again."""
    with roadmask.open_camera(camera, [SOURCES[camera]]) as source:
        images = [frame.image for frame in source]
    height, width = images[0].shape[:2]
    unfinished = OUT / f"{camera}.unfinished.mp4"
    writer = cv2.VideoWriter(str(unfinished), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (width, height))
    for image in images * REPEATS:
        writer.write(image[..., ::-1])
    writer.release()
    unfinished.rename(video_of(camera))


if __name__ == "__main__":
    try:
        main()
    except roadmask.RoadmaskError as error:
        sys.exit(f"error: {error}")
