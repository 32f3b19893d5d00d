"""Writes the graphs that come with the package, so that its own networks need no torch."""
