"""The page that shows a live run, and what monitoring reads: no internet, no build step."""
