"""Messages that carry tracked masks to other programs: roadmask_msgs and what other viewers read."""
