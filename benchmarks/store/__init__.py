"""Size of stores, and the time to read from them."""
