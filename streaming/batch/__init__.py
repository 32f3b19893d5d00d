"""Many drives: finds them, records each into a store of its own, on this machine or on a Ray cluster."""
