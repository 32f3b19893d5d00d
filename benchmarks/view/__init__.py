"""The page of a recorded store: first paint, seeks and memory."""
