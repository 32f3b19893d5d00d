"""The GPU graph in ONNX Runtime on a CPU, to verify plans where there is no GPU."""
