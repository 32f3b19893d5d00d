"""What several tests need: cameras and a segmenter that follow a script."""
