"""Speed of trackers."""
