"""Tracks the boxes of any detector. Here they are made up; masks are optional."""

import numpy as np

import roadmask

tracker = roadmask.IouTracker()
for n in range(5):
    found = roadmask.Instances(
        image_size=(720, 1280),
        boxes=np.array([[100 + 8 * n, 300, 180 + 8 * n, 360]], np.float32),  # x1, y1, x2, y2
        scores=np.array([0.9], np.float32),
        category_ids=np.array([roadmask.CAR]),
    )
    tracks = tracker.update(found, timestamp_ns=n * 100_000_000)
    print(tracks.track_ids, tracks.velocities)
