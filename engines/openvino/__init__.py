"""OpenVINO on a CPU: the default engine, which runs the static graphs."""
