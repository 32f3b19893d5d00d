"""Live cameras: how they are addressed, read, decoded in a process of their own, and placed in time."""
