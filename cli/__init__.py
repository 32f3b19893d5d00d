"""The command line. `main` is what the `roadmask` program runs."""

from __future__ import annotations

from roadmask.cli.app import app, main

__all__ = ["app", "main"]
