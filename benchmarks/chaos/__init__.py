"""How a live run recovers from each fault that is known."""
