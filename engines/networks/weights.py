"""Finds weights: shipped with the package, published by torchvision, or in the user's own file.

Nothing is ever unpickled: safetensors hold only numbers, and a .pt or .pth file is read with `weights_only`, which
refuses everything else. torch is imported only to read such files or to download.
"""

# ruff: noqa: PLC0415 - torch is imported only to read its files and to download

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, is_zipfile

from safetensors import SafetensorError, safe_open

from roadmask.engines.classes import CLASS_NAMES, LITE_CATEGORY_IDS
from roadmask.engines.errors import EngineError, WeightsError
from roadmask.engines.extras import missing_package
from roadmask.engines.networks import cache

if TYPE_CHECKING:
    from torch import Tensor

LITE_FILE = Path(__file__).parents[1] / "data" / "roadmask-lite.safetensors"
LITE_SHA256 = "58917fe1e1e547630c7869aaa13bb88f611a43fd7aa51140154d12cac4c1a26c"
_SHOWN = 3
"""Number of keys that an error message names."""


class Architecture(Enum):
    """The networks that roadmask knows; the value is the name that users give."""

    LITE = "lite"
    LITE2 = "lite2"
    RESNET50 = "resnet50"
    RESNET50_V2 = "resnet50_v2"

    @property
    def category_ids(self) -> tuple[int, ...]:
        """COCO category id of each of the model's outputs, background (0) first; 0 where COCO left an id unused."""
        if self in (Architecture.LITE, Architecture.LITE2):
            return (0, *LITE_CATEGORY_IDS)
        return tuple(category if category in CLASS_NAMES else 0 for category in range(91))


_SCORES = "roi_heads.box_predictor.cls_score.weight"
"""Tensor with a row for each of the model's outputs."""
_FINGERPRINTS: dict[Architecture, dict[str, tuple[int, ...]]] = {
    Architecture.LITE: {
        "roi_heads.box_head.fc6.weight": (512, 128 * 49),
        "rpn.head.conv.0.0.weight": (128, 128, 3, 3),
        "roi_heads.box_predictor.cls_score.weight": (7, 512),
    },
    Architecture.LITE2: {
        "roi_heads.box_head.fc6.weight": (512, 128 * 49),
        "rpn.head.conv.0.0.0.weight": (128, 1, 3, 3),
        "roi_heads.box_predictor.cls_score.weight": (7, 512),
    },
    Architecture.RESNET50: {
        "roi_heads.box_head.fc6.weight": (1024, 256 * 49),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
    },
    Architecture.RESNET50_V2: {
        "roi_heads.box_head.0.0.weight": (256, 256, 3, 3),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
    },
}
"""Tensor shapes by which the architectures are recognised."""

_PUBLISHED = {
    Architecture.RESNET50: "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    Architecture.RESNET50_V2: "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
}
"""Names of torchvision's files in its cache; the end of the stem is the start of the file's SHA-256."""
_PUBLISHED_AT = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class Weights:
    """A weights file that was found and whose architecture is known."""

    name: str
    """lite, resnet50, resnet50_v2 or the file's name."""
    path: Path
    sha256: str
    """SHA-256 of the file, in hex."""
    architecture: Architecture
    added_classes: tuple[tuple[int, str], ...] = ()
    """Category id and name of the outputs that training added to those of the architecture, in their order."""

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Category id of each of the model's outputs, background (0) first; 0 where COCO left an id unused."""
        return (*self.architecture.category_ids, *(category for category, _ in self.added_classes))

    @property
    def class_names(self) -> dict[int, str]:
        """Category id -> name of every class that the model knows."""
        names = CLASS_NAMES | dict(self.added_classes)
        return {category: names[category] for category in self.category_ids if category}

    @property
    def argument(self) -> str:
        """Value for `--weights`: their name, or the path of a file."""
        return self.name if self.name == self.architecture.value else str(self.path)


def find_weights(weights: str | Path) -> Weights:
    """Finds weights by name or file.

    Args:
        weights: `lite` (shipped), `resnet50` or `resnet50_v2` (torchvision's COCO weights, downloaded once into
            torch's own cache), or the path of a .safetensors, .pt or .pth file with a state dict of one of these.

    Raises:
        WeightsError: the file is missing, damaged, unsafe, or of another architecture; or the download failed.
    """
    names = {architecture.value: architecture for architecture in Architecture}
    if str(weights) not in names:
        return _from_file(Path(weights))
    architecture = names[str(weights)]
    path = LITE_FILE if architecture is Architecture.LITE else _published(architecture)
    digest = _sha256(path)
    expected = LITE_SHA256 if architecture is Architecture.LITE else path.stem.rsplit("-", 1)[1]
    if not digest.startswith(expected):
        remedy = "reinstall roadmask" if architecture is Architecture.LITE else "delete it, so that it downloads again"
        raise WeightsError(f"{path} is damaged: expected a SHA-256 of {expected}, got {digest}; {remedy}.")
    return Weights(architecture.value, path, digest, architecture)


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads a state dict as fp32 without running anything that the file may hold.

    Raises:
        WeightsError: the file is not a state dict, or holds pickled code.
    """
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            state: object = load_file(path)
        except SafetensorError as error:
            raise _damaged(path, error) from error
    else:
        state = _load_weights_only(path)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(
            f"expected {path} to hold a state dict (names -> tensors), got {_describe(state)}: "
            "save it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        )
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _load_weights_only(path: Path) -> object:
    import torch

    if not is_zipfile(path):
        # torch's format before 1.6 is a bare pickle; only the zip format has the restricted reader's full checks.
        raise WeightsError(
            f"{path} is not a torch zip file: save it again with torch.save(model.state_dict(), ...) of torch 1.6 or "
            "newer, or better as .safetensors."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds pickled code, which could run any program, and is refused. Load it where you trust it, and "
            "save the tensors only: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        ) from error
    except (RuntimeError, EOFError, BadZipFile, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _from_file(path: Path) -> Weights:
    if not path.is_file():
        raise WeightsError(f"expected {_names()} or an existing weights file, got {path}: not found.")
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise WeightsError(f"expected weights as .safetensors (preferred), .pt or .pth, got {path.name}.")
    if path.stat().st_size == 0:
        raise WeightsError(f"{path} is empty: copy or download it again.")
    digest = _sha256(path)
    if path.suffix == ".safetensors":
        shapes = _shapes(path)
        architecture = _recognise(path, shapes)
        return Weights(path.name, path, digest, architecture, _added_classes(path, architecture, shapes))
    # Reading a .pth needs torch; what was learnt the first time is kept so that later runs do without it.
    known = f"architectures/{digest}.json"
    try:
        architecture = Architecture(json.loads((cache.folder() / known).read_text()))
    except (OSError, ValueError):  # not yet known
        shapes = _shapes(path)
        architecture = _recognise(path, shapes)
        if shapes[_SCORES][0] != len(architecture.category_ids):
            raise WeightsError(
                f"{path} has added classes, which only .safetensors files name: use that file."
            ) from None
        cache.remember(known, json.dumps(architecture.value).encode())
    return Weights(path.name, path, digest, architecture)


def _added_classes(
    path: Path, architecture: Architecture, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[int, str], ...]:
    """Returns the classes of the outputs beyond those of the architecture, which `roadmask train` keeps in the file."""
    added = shapes[_SCORES][0] - len(architecture.category_ids)
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("roadmask", "{}"))
        found = tuple((int(category), str(name)) for category, name in about.get("added_classes", []))
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    if len(found) != added:
        raise WeightsError(
            f"{path} has {added} more outputs than {architecture.value}, its metadata names {len(found)} added "
            "classes: use the file as `roadmask train` wrote it."
        )
    return found


def _fits(name: str, shape: tuple[int, ...] | None, expected: tuple[int, ...]) -> bool:
    """Returns whether a tensor has its shape; training may have added classes."""
    if name == _SCORES and shape is not None:
        return len(shape) == len(expected) and shape[0] >= expected[0] and shape[1:] == expected[1:]
    return shape == expected


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="numpy") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise _damaged(path, error) from error
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise missing_package("torch", f"reading {path.name}", extra="torch") from error
    return {name: tuple(value.shape) for name, value in load_state_dict(path).items()}


def _recognise(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Architecture:
    for architecture, fingerprint in _FINGERPRINTS.items():
        if all(_fits(name, shapes.get(name), shape) for name, shape in fingerprint.items()):
            return architecture
    differences = []
    for architecture, fingerprint in _FINGERPRINTS.items():
        name, shape = next(
            (name, shape) for name, shape in fingerprint.items() if not _fits(name, shapes.get(name), shape)
        )
        differences.append(f"{architecture.value} has {name} {shape}, the file {shapes.get(name, 'none')}")
    raise WeightsError(
        f"{path} is of another architecture: expected {_names()} of torchvision's Mask R-CNN. "
        f"{'; '.join(differences)}. The file begins with {', '.join(list(shapes)[:_SHOWN]) or 'nothing'}."
    )


def _published(architecture: Architecture) -> Path:
    if architecture not in _PUBLISHED:
        raise WeightsError(
            f"{architecture.value} has no published weights yet: train them with `roadmask train LABELS "
            f"--architecture {architecture.value} --from lite`, and give the file that it writes."
        )
    home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch")
    try:
        path = home.expanduser() / "hub" / "checkpoints" / _PUBLISHED[architecture]
    except RuntimeError as error:  # neither HOME nor an entry in the list of users
        raise WeightsError(
            f"this user has no home folder to keep the {architecture.value} weights in: set TORCH_HOME to a folder, or "
            "give the file itself as the weights; lite needs no download."
        ) from error
    if path.is_file():
        return path
    url = _PUBLISHED_AT + path.name
    try:
        from torch.hub import download_url_to_file
        from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights, MaskRCNN_ResNet50_FPN_Weights
    except ImportError as error:
        raise missing_package("torchvision", f"downloading {architecture.value}", extra="torch") from error
    enum = {
        Architecture.RESNET50: MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
        Architecture.RESNET50_V2: MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1,
    }[architecture]
    if enum.url != url:
        raise EngineError(f"expected torchvision's weights at {url}, it names {enum.url}: install a torchvision < 1.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[1], progress=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"cannot download the {architecture.value} weights ({error}). Download {url} on a machine with a "
            f"network and copy it to {path}, or give the file itself as the weights; lite needs no download."
        ) from error
    return path


def _names() -> str:
    return ", ".join(each.value for each in Architecture)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}.") from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    first_line = str(error).partition("\n")[0]
    return WeightsError(f"{path} is not a readable weights file ({first_line}); copy or download it again.")


def _describe(state: object) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return f"a dict with {', '.join(map(str, list(state)[:_SHOWN])) or 'nothing'}"
