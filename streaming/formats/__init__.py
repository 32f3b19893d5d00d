"""Formats of other tools: detections and tracks that are read, and exports that are written."""
