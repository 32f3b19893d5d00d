"""Makes two images of the documentation out of the sample drive: a frame with its masks, and the page of its store.

python tests/support/view_image.py docs/images
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from roadmask.engines import CLASS_NAMES, PEDESTRIAN
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.sinks.drawing import draw_overlay
from roadmask.streaming.store import StoredFrame, open_drive
from roadmask.tracking import Tracks
from roadmask.viewing import RecordedPage
from support.browser import opened

SOURCE = "synthetic:?fps=10&width=1280&height=720"
FRAME = 56
"""Pedestrians cross before the car."""


def main(folder: Path) -> None:
    """Records the drive with lite, then draws a frame of it and looks at its page."""
    with tempfile.TemporaryDirectory() as temporary:
        store = Path(temporary) / "drive.zarr"
        record_drive({"front": SOURCE}, store)
        front = open_drive(store)["front"]
        frame = front.frame(FRAME)
        image = SampleDrive(SampleDriveConfig(fps=10, width=1280, height=720)).render(frame.frame_index)
        drawn = draw_overlay(image, Tracks.from_ids(frame.instances, frame.track_ids), CLASS_NAMES)
        Image.fromarray(drawn).save(folder / "overlay.jpg", quality=88, optimize=True)
        where = f"#camera=front&frame={FRAME}&track={followed(frame)}"
        with RecordedPage(store, address="127.0.0.1:0") as page:
            page.image_states()
            with opened(page.url + where, width=1360, height=830) as browser:
                found = "return performance.getEntriesByName('first-frame').length"
                browser.wait("the frame", lambda: browser.script(found))
                browser.wait("the crop", lambda: browser.text("#follow .seen").startswith("score"))
                browser.screenshot(folder / "view-page.png")
    page_image = Image.open(folder / "view-page.png").convert("RGB")
    # a palette makes a small file
    page_image.quantize(200, kmeans=1, dither=Image.Dither.NONE).save(folder / "view-page.png", optimize=True)


def followed(frame: StoredFrame) -> int:
    """Returns the track of the largest pedestrian in a frame."""
    boxes = frame.instances.boxes
    people = np.flatnonzero((frame.instances.category_ids == PEDESTRIAN) & (frame.track_ids > 0))
    return int(frame.track_ids[people[np.argmax(boxes[people, 3] - boxes[people, 1])]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
