"""How far away instances are, from their masks and a calibrated camera."""
