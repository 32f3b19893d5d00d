"""Build time and size of TensorRT plans."""
