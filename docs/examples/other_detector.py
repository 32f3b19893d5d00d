"""Tracks what another detector found. Here it is made up; masks are optional."""

import roadmask

tracker = roadmask.IouTracker()
for n in range(5):
    results = [{"bbox": [100 + 8 * n, 300, 80, 60], "category_id": roadmask.CAR, "score": 0.9}]  # x, y, width, height
    instances = roadmask.Instances.from_coco(results, image_size=(720, 1280))
    tracks = tracker.update(instances, timestamp_ns=n * 40_000_000)
    print(tracks.track_ids, tracks.velocities)
