"""Accuracy of trackers on spoilt detections."""
