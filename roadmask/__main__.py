"""`python -m roadmask` is the `roadmask` program."""

from roadmask.cli import main

if __name__ == "__main__":
    main()
