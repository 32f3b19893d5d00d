"""The networks: their weights, their static graphs, and the code that all engines share to run them."""
