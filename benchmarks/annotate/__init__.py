"""What `roadmask annotate` costs beyond `roadmask run`."""
