"""Camera motion from the images or from the vehicle, and the tracker that uses it."""
