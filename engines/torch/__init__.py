"""The networks in torch: the reference engine on a CPU, and the static graph on a CUDA GPU."""
