"""The static graph in OpenVINO: the default engine on a CPU."""
