"""Programs to read, numbered, and the sample drive they run on."""
