"""The networks: their weights, static graphs of fixed shape, and what every engine shares to run them."""
