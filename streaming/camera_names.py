"""What a camera may be called: its name is a folder of the store, on every system."""

from __future__ import annotations

import re
import unicodedata

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
    """Returns a camera name made from any text, such as a file's name; an empty string if nothing usable is in it.

    Accents are removed. A name that is written in another alphabet becomes `camera`, with the digits that are in it.
    """
    plain = unicodedata.normalize("NFKD", text)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", "".join(c for c in plain if not unicodedata.combining(c))).strip("_-")
    if re.search(r"[A-Za-z]", name) or not any(c.isalpha() and not c.isascii() for c in plain):
        return name
    return f"camera_{name}" if name else "camera"
