"""The files that hold a camera's calibration, one module for each format."""
