"""Many drives: finds them and records each into its own store, on this machine or on a Ray cluster."""
