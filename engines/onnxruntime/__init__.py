"""ONNX Runtime on a CPU: verifies the graph of plans without a GPU, and is a peer in benchmarks."""
