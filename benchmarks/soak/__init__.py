"""Growth of memory, files and threads in a long live run."""
