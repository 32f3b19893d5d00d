"""Exports a store to COCO JSON, reads it back, and records a store from the labels.

    python demos/07_coco_and_back.py [drive.zarr [recording]]

Reads out/demo/drive.zarr, which `make demo` records, unless another store and its recording are named. The way back is
also how labels of your own become a store with tracks.
"""

# %% Out: images, annotations with run lengths, categories
import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import roadmask
from roadmask.extend import ExportJob, export_drive
from roadmask.testing import ScriptedSegmenter

named = [text for text in sys.argv[1:] if not text.startswith("-")]
STORE, SOURCE = Path(named[0] if named else "out/demo/drive.zarr"), named[1] if len(named) > 1 else "synthetic:"
drive = roadmask.open_drive(STORE)
camera = drive[next(iter(drive))]
labels, again = STORE.with_name("labels.json"), STORE.with_name("again.zarr")
labels.unlink(missing_ok=True)
export_drive(ExportJob(drive, camera=camera.name), "coco", str(labels))

# %% Back: the instances of each image
coco = json.loads(labels.read_text())
by_image = defaultdict(list)
for annotation in coco["annotations"]:
    by_image[annotation["image_id"]].append(annotation)
read = [
    roadmask.Instances.from_coco(by_image[image["id"]], (image["height"], image["width"])) for image in coco["images"]
]

# %% Not a pixel was lost
for position, instances in enumerate(read):
    stored = camera.frame(position).instances
    if instances.masks is not None and stored.masks is not None:
        assert instances.masks.to_rle().counts == stored.masks.to_rle().counts, position
print(f"{len(coco['annotations'])} masks in {len(read)} images came back bit for bit")

# %% A store of these labels: they take the place of the network, and our tracker joins them
shutil.rmtree(again, ignore_errors=True)
roadmask.record_drive({"front": SOURCE}, again, build=lambda: ScriptedSegmenter(read))
before, after = len(camera.tracks()), len(roadmask.open_drive(again)["front"].tracks())
print(f"{before} tracks before, {after} tracks in {again}")
