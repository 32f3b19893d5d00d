"""What `roadmask bench` measures: engines, masks, whole runs and live cameras."""
