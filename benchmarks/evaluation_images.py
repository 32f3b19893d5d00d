"""Lists the images of the evaluation sets, so that `roadmask train` can refuse them: writes training/data/.

    python -m benchmarks.evaluation_images ../shared/data

Videos are listed frame by frame, by their difference hashes alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from rich.progress import track

from roadmask.engines import Image
from roadmask.training.guard import dhash

SETS = (
    "coco_dev",
    "pennfudan_dev",
    "davis_car-shadow",
    "kitti_drive",
    "kitti_labelled",
    "nuscenes_sample",
)
CLIPS = ("highway.mp4", "freeway_near.mp4", "night_crossing.mp4", "crossing_still.mp4")
OUT = Path(__file__).resolve().parent.parent / "training" / "data" / "evaluation_images.json"


def rows(data: Path) -> Iterator[dict[str, str]]:
    """Yields set, name, sha256 (empty for a frame of a video) and dhash of every image."""
    for name in SETS:
        for path in sorted((data / name).rglob("*")):
            if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
                continue
            content = path.read_bytes()
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
            if image is None or "mask" in str(path.parent.name).lower():
                continue
            digest = hashlib.sha256(content).hexdigest()
            yield {
                "set": name,
                "name": path.name,
                "sha256": digest,
                "dhash": f"{dhash(np.asarray(image, np.uint8)):016x}",
            }
    for clip in CLIPS:
        with av.open(str(data / "clips" / clip)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                shown: Image = frame.to_ndarray(format="rgb24").astype(np.uint8)
                yield {"set": "clips", "name": f"{clip}#{number}", "sha256": "", "dhash": f"{dhash(shown):016x}"}


def main() -> None:
    """Writes the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the evaluation sets")
    data = parser.parse_args().data
    if missing := [name for name in SETS if not (data / name).is_dir()]:
        sys.exit(f"expected the evaluation sets in {data}; missing: {', '.join(missing)}")
    seen, found = set(), []
    for row in track(rows(data), description="Hashing evaluation images"):
        if (key := (row["sha256"], row["dhash"])) not in seen:
            seen.add(key)
            found.append(row)
    OUT.write_text('{"images": [\n' + ",\n".join(json.dumps(row) for row in found) + "\n]}\n")


if __name__ == "__main__":
    main()
