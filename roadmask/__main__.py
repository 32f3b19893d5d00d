"""`python -m roadmask` is the `roadmask` program."""

from roadmask.streaming.cli import main

if __name__ == "__main__":
    main()
