"""Files in which others keep detections and tracks: read here, and written by `export`."""
