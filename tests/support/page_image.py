"""Makes the image of the live page in the documentation: the page in a real browser, watching the sample drive.

python tests/support/page_image.py docs/images/live-page.png
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from roadmask.engines import CLASS_NAMES
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.live.reports import LiveImage, ShownInstance
from roadmask.streaming.page import LivePage, PageAddress
from roadmask.streaming.sinks.drawing import draw_overlay
from roadmask.tracking import Tracks
from support.browser import opened
from support.live_feed import Moving, ScriptedLive

FPS = 5.0
LEADER = 1
"""The car ahead, which is in every image."""


def drive_images(view: str, number: int) -> list[tuple[bytes, tuple[int, int], tuple[ShownInstance, ...]]]:
    """Renders the sample drive with its true masks drawn in, every fifth frame."""
    drive = SampleDrive(SampleDriveConfig(view=view, height=432, width=768))
    images = []
    for index in range(0, number * 5, 5):
        image, truth = drive.frame(index)
        seen = truth.visible_fraction > 0.3
        instances, ids = truth.instances[seen], truth.object_ids[seen].astype(np.int64)
        tracks = Tracks.from_ids(instances, ids)
        drawn = draw_overlay(image, tracks, CLASS_NAMES)
        _, jpeg = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        shown = tuple(
            ShownInstance(
                int(ids[i]), CLASS_NAMES[int(instances.category_ids[i])], 0.97, tuple(map(float, instances.boxes[i]))
            )  # type: ignore[arg-type]
            for i in range(len(instances))
        )
        images.append((jpeg.tobytes(), drive.image_size, shown))
    return images


def drive_feed(number: int) -> Callable[..., LiveImage]:
    """Returns what a scripted run publishes: the drive, forwards and backwards."""
    images = {view: drive_images(view, number) for view in ("front", "rear")}

    def image(camera: str, index: int, captured_ns: int, _scene: tuple[Moving, ...], *, age_ms: float) -> LiveImage:
        period = max(2 * number - 2, 1)
        place = index % period
        jpeg, size, instances = images[camera][min(place, period - place)]
        return LiveImage(
            camera, 0, index, captured_ns, time.monotonic_ns() - round(age_ms * 1e6), jpeg, size, instances
        )

    return image


def main(path: Path) -> None:
    """Watches for a while and writes what the browser shows."""
    feed = drive_feed(40)
    with (
        LivePage(PageAddress.parse("127.0.0.1:0")) as page,
        ScriptedLive(page, fps=FPS, delay_ms=140, image=feed),
        opened(page.url, width=1280, height=880) as browser,
    ):
        time.sleep(14)
        browser.follow("front", LEADER)
        time.sleep(1)
        browser.script(
            "document.querySelector('.track[aria-pressed=true]').scrollIntoView({block: 'end'}); scrollTo(0, 0)"
        )
        browser.screenshot(path)
    # a palette makes a small file
    Image.open(path).convert("RGB").quantize(160, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
