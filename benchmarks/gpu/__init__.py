"""Agreement and speed of the engines on an NVIDIA GPU."""
