"""Records a drive into a store and shows progress."""

import sys

import roadmask

source, out = sys.argv[1:3]  # such as drive.mp4 drive.zarr
result = roadmask.record_drive({"front": source}, out)
for camera in result.cameras:
    print(camera.camera, camera.ledger)
