"""The classes: COCO's category ids, with the names that are usual for road users.

Classes are COCO category ids whatever the model, so that stores made with different weights can be compared and exports
to COCO need no mapping. COCO's person is called pedestrian here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from roadmask.engines.errors import ConfigError

CLASS_NAMES: dict[int, str] = {
    1: "pedestrian",
    2: "bicycle",
    3: "car",
    4: "motorcycle",
    5: "airplane",
    6: "bus",
    7: "train",
    8: "truck",
    9: "boat",
    10: "traffic light",
    11: "fire hydrant",
    13: "stop sign",
    14: "parking meter",
    15: "bench",
    16: "bird",
    17: "cat",
    18: "dog",
    19: "horse",
    20: "sheep",
    21: "cow",
    22: "elephant",
    23: "bear",
    24: "zebra",
    25: "giraffe",
    27: "backpack",
    28: "umbrella",
    31: "handbag",
    32: "tie",
    33: "suitcase",
    34: "frisbee",
    35: "skis",
    36: "snowboard",
    37: "sports ball",
    38: "kite",
    39: "baseball bat",
    40: "baseball glove",
    41: "skateboard",
    42: "surfboard",
    43: "tennis racket",
    44: "bottle",
    46: "wine glass",
    47: "cup",
    48: "fork",
    49: "knife",
    50: "spoon",
    51: "bowl",
    52: "banana",
    53: "apple",
    54: "sandwich",
    55: "orange",
    56: "broccoli",
    57: "carrot",
    58: "hot dog",
    59: "pizza",
    60: "donut",
    61: "cake",
    62: "chair",
    63: "couch",
    64: "potted plant",
    65: "bed",
    67: "dining table",
    70: "toilet",
    72: "tv",
    73: "laptop",
    74: "mouse",
    75: "remote",
    76: "keyboard",
    77: "cell phone",
    78: "microwave",
    79: "oven",
    80: "toaster",
    81: "sink",
    82: "refrigerator",
    84: "book",
    85: "clock",
    86: "vase",
    87: "scissors",
    88: "teddy bear",
    89: "hair drier",
    90: "toothbrush",
}
"""COCO category id -> class name."""

PEDESTRIAN = 1
"""Category id of pedestrians."""
CAR = 3
"""Category id of cars."""
DEFAULT_CLASSES = ("pedestrian", "car")
"""Names of the classes that are reported by default."""
LITE_CATEGORY_IDS = (1, 2, 3, 4, 6, 8)
"""COCO category ids of the outputs 1 to 6 of the lite model."""

_IDS = {name: category for category, name in CLASS_NAMES.items()} | {"person": PEDESTRIAN}


def category_id(name: str) -> int | None:
    """Returns the COCO category id of a class name in upper or lower case, or None if it is not a class of COCO."""
    return _IDS.get(name.strip().lower())


def named_classes(available: Mapping[int, str] | Iterable[int]) -> dict[int, str]:
    """Returns the class names of category ids: those given, or COCO's."""
    if isinstance(available, Mapping):
        return dict(available)
    return {category: CLASS_NAMES[category] for category in available}


def category_ids(names: Iterable[str], available: Mapping[int, str] | Iterable[int] = CLASS_NAMES) -> tuple[int, ...]:
    """Returns the category ids of class names, in ascending order.

    Args:
        names: class names as in `CLASS_NAMES`; `person` is accepted for pedestrian.
        available: category id -> name of the classes that the model knows, or only the ids if all of them are COCO's.

    Raises:
        ConfigError: a name is unknown or the model does not know the class; the message names the nearest known class.
    """
    known = {name: category for category, name in named_classes(available).items()}
    ids = set()
    for name in names:
        coco = category_id(name)
        plain = name.strip().lower() if coco is None else CLASS_NAMES[coco]
        if plain not in known:
            near = get_close_matches(name.strip().lower(), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}."
            raise ConfigError(f"the model does not know the class {name!r}: {hint}")
        ids.add(known[plain])
    if not ids:
        raise ConfigError(f"expected at least one class, got none: choose from {', '.join(known)}.")
    return tuple(sorted(ids))
