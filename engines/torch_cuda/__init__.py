"""torch on an NVIDIA GPU: the network compiled by torch and captured as a CUDA graph. Imports torch."""
