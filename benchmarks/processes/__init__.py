"""What each process of a live run costs and gains: latency, processor time and memory with and without it."""
