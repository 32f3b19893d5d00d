"""Segments and tracks cameras that are running now, and stores them."""

import sys

import roadmask

source, out = sys.argv[1:3]  # such as rtsp://camera.local/stream drive.zarr
result = roadmask.run_live({"front": source}, out=out)
for camera in result.cameras:
    print(camera.camera, camera.ledger)
