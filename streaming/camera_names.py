"""What a camera may be called: its name is a folder of the store, on every system."""

from __future__ import annotations

import re

from roadmask.engines.errors import InputError


def check_camera_name(name: str) -> str:
    """Returns a camera's name after checking it.

    Raises:
        InputError: it is empty or holds anything but letters, digits, '_' and '-'.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"cannot name a camera {name!r}: a camera name has only letters, digits, '_' and '-'.")
    return name


def camera_name(text: str) -> str:
    """Returns a camera name made from any text, such as a file's name; an empty string if nothing usable is in it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")
