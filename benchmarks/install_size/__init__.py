"""Size of roadmask's wheel, and of what an installation adds to site-packages."""
