"""Measures distances against the 3D labels of KITTI tracking."""
