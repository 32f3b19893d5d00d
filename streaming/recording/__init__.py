"""The one path of recorded runs, from sources to a finished store."""
