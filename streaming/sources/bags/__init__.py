"""Cameras in bags: MCAP, ROS 2 db3 and ROS 1 files."""
