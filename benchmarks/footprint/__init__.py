"""Start-up time of a run, and the memory of its engine."""
