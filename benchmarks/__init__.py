"""The makers' instruments: `python -m benchmarks.NAME` in a checkout. Each is a folder of the same two files.

`__main__.py` is the command, its options and its limits; `measuring.py` measures and returns records. Users measure
their machine by `roadmask bench`.
"""
