"""Tracks the first frames of the sample drive and prints what is in them."""

import roadmask
from roadmask.sample_drive import SampleDrive

drive = SampleDrive()  # renders images; your camera takes its place
pipeline = roadmask.Pipeline(roadmask.load_segmenter("lite"))
pipeline.warm_up(drive.image_size)

for n in range(5):
    image = drive.render(n)  # uint8 (H, W, 3) RGB
    tracks = pipeline.step(image, timestamp_ns=n * 40_000_000)
    for track_id, category_id, box in zip(
        tracks.track_ids, tracks.instances.category_ids, tracks.instances.boxes, strict=True
    ):
        print(n, roadmask.CLASS_NAMES[int(category_id)], int(track_id), box.round().astype(int))
