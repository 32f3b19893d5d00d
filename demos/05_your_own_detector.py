"""Tracks what a detector of your own finds, and draws it.

    python demos/05_your_own_detector.py

Here the detector is simulated: it knows the truth of the sample drive, misses one object in seven, and its boxes
jitter. Put your network in its place: whatever gives boxes, classes and scores, with masks or without.
"""

# %% A detector: an image goes in, boxes in COCO's form come out. `mask` run lengths may stand beside `bbox`.
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

import roadmask
from roadmask.sample_drive import SampleDrive

FRAMES = int(next((text for text in sys.argv[1:] if text.isdigit()), 100))
drive = SampleDrive()
random = np.random.default_rng(7)


def detect(number: int) -> list[dict]:
    """Finds six of seven objects, two pixels off."""
    truth = drive.frame(number)[1]
    found = []
    for n in np.flatnonzero((truth.visible_fraction > 0.3) & (random.random(len(truth.instances)) > 1 / 7)):
        x1, y1, x2, y2 = (truth.instances.boxes[n] + random.normal(0, 2, 4)).tolist()
        box = [x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)]
        found.append({"bbox": box, "category_id": int(truth.instances.category_ids[n]), "score": 0.9})
    return found


# %% Our tracker joins the boxes of successive images
tracker = roadmask.IouTracker()
seen = Counter()
for number in range(FRAMES):
    instances = roadmask.Instances.from_coco(detect(number), drive.image_size)
    tracks = tracker.update(instances, timestamp_ns=round(number * 1e9 / drive.fps))
    seen.update(tracks.track_ids[tracks.states == roadmask.TrackState.CONFIRMED].tolist())

# %% What came out
print(f"{sum(seen.values())} confirmed boxes in {FRAMES} frames belong to {len(seen)} tracks")
print("the longest:", ", ".join(f"track {track} in {frames} frames" for track, frames in seen.most_common(3)))

# %% The last image with its tracks
drawn = roadmask.draw_overlay(drive.render(FRAMES - 1), tracks, roadmask.CLASS_NAMES, heading="your detector")
out = Path("out/your-detector.png")
out.parent.mkdir(parents=True, exist_ok=True)
Image.fromarray(drawn).save(out)
print(out)
