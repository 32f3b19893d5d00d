"""Where tracks go besides the store."""
