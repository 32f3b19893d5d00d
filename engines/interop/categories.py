"""Turns the class numbers of other libraries into COCO category ids."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CLASS_NAMES, category_id
from roadmask.engines.errors import InstancesError

Unknown = Literal["error", "drop"]
"""What happens to an instance of a class that roadmask does not know: an error, or it is left out."""


def require_unknown(unknown: str) -> None:
    """Checks the argument `unknown`.

    Raises:
        InstancesError: it is neither `error` nor `drop`.
    """
    if unknown not in get_args(Unknown):
        raise InstancesError(f"expected unknown to be 'error' or 'drop', got {unknown!r}.")


def ids_of_numbers(
    numbers: NDArray[Any], class_names: Mapping[int, str] | None, unknown: Unknown
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the category ids of classes that are given by number.

    Args:
        numbers: (N,) class numbers.
        class_names: number -> class name; None if the numbers are COCO category ids.
        unknown: what to do with classes that are not among COCO's.

    Returns:
        (N,) category ids, and (N,) which of them are known. The others are 0.

    Raises:
        InstancesError: a number has no name or is no category id, or a name is unknown, and `unknown` is `error`.
    """
    require_unknown(unknown)
    whole = numbers.astype(np.int64)
    ids = np.zeros(whole.shape, np.int64)
    for number in np.unique(whole).tolist():
        category = _category(number, class_names)
        if category is None and unknown == "error":
            raise InstancesError(f"{_unknown(number, class_names)}, or leave such instances out by unknown='drop'.")
        ids[whole == number] = category or 0
    return ids, ids > 0


def ids_of_names(names: NDArray[Any], unknown: Unknown) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the category ids of classes that are given by name; see `ids_of_numbers`.

    Args:
        names: (N,) class names, as `CLASS_NAMES` or COCO spells them.
        unknown: what to do with names that are not among COCO's.

    Raises:
        InstancesError: a name is unknown, and `unknown` is `error`.
    """
    given = [str(name) for name in names.tolist()]
    numbered = dict(enumerate(dict.fromkeys(given)))
    number_of = {name: number for number, name in numbered.items()}
    return ids_of_numbers(np.array([number_of[name] for name in given], np.int64), numbered, unknown)


def _category(number: int, class_names: Mapping[int, str] | None) -> int | None:
    if class_names is None:
        return number if number in CLASS_NAMES else None
    return category_id(class_names[number]) if number in class_names else None


def _unknown(number: int, class_names: Mapping[int, str] | None) -> str:
    """Returns what was expected, what came and what to do."""
    if class_names is None:
        return (
            f"expected COCO category ids, got {number}, which is none: pass class_names={{number: class name}} if the "
            "classes are numbered otherwise"
        )
    if number not in class_names:
        return f"expected class_names to name the class number {number}, got names of {list(class_names)}: add it"
    name = str(class_names[number])
    near = get_close_matches(name.strip().lower(), CLASS_NAMES.values(), n=1)
    example = near[0] if near else "truck"
    return (
        f"expected classes of COCO, see roadmask.CLASS_NAMES, got {name!r}: name it as the class it is to become, for "
        f"instance class_names={{{number}: {example!r}}}"
    )
