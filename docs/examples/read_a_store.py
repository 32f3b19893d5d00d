"""Reads the longest track of a store, and the id map of one of its frames."""

import sys

import roadmask

drive = roadmask.open_drive(sys.argv[1])
for name in drive:
    camera = drive[name]
    print(f"{name}: {len(camera)} frames, {len(camera.tracks())} tracks")

    frame = camera.frame(0)  # by position in the store
    print(frame.timestamp_ns, frame.track_ids, frame.instances.boxes)
    print(camera.id_map(0).shape)  # uint32 (H, W): the track id of each pixel, 0 where there is none

    if camera.tracks():
        longest = max(camera.tracks(), key=lambda track: track.frames)
        print(camera.track(longest.track_id))  # every sighting, without reading other tracks' masks
