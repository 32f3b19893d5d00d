"""Graphs that come with the package: the ONNX files of a network without its weights, which lie beside them.

Next to `NAME.safetensors` lies `NAME.graphs`. It holds, for each input size, the bytes of the two ONNX files with every
tensor of the weights cut out. Put together again they are the files that torch exported, byte for byte, and neither
torch nor onnx is needed for it. `python -m benchmarks.graphs` writes such a file:

    8 bytes: length of the header, little-endian
    header: JSON, input size -> key of its graphs (see `graph_key`)
    zstd: 8 bytes: length of the recipes, little-endian
          recipes: JSON, input size -> one `Recipe` for the detector and one for the masks
          the bytes between the tensors, of all graphs
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from safetensors import safe_open

from roadmask.engines.errors import EngineError
from roadmask.engines.networks.weights import Weights

_LENGTH_BYTES = 8
_SUFFIX = ".graphs"


@dataclass(frozen=True)
class Recipe:
    """How one ONNX file is put together."""

    start: int
    """Place of its first byte among the bytes between tensors."""
    pieces: tuple[int | str, ...]
    """In the order of the file: a number of bytes between tensors, or the name of a tensor, which stands as fp32."""


@dataclass(frozen=True)
class GraphBundle:
    """The graphs of one network."""

    keys: dict[str, str]
    """Input size as HEIGHTxWIDTH -> key of its graphs."""
    recipes: dict[str, tuple[Recipe, Recipe]]
    """Input size as HEIGHTxWIDTH -> detector and masks."""
    between: bytes
    """The bytes between the tensors of all graphs."""

    def graphs(self, size: str, tensor: Callable[[str], bytes]) -> tuple[bytes, bytes]:
        """Returns the ONNX files of the detector and the masks.

        Args:
            size: input size as HEIGHTxWIDTH.
            tensor: returns the bytes of a tensor of the weights as fp32.
        """
        detector, masks = (b"".join(self._pieces(recipe, tensor)) for recipe in self.recipes[size])
        return detector, masks

    def _pieces(self, recipe: Recipe, tensor: Callable[[str], bytes]) -> Iterator[bytes]:
        at = recipe.start
        for piece in recipe.pieces:
            if isinstance(piece, str):
                yield tensor(piece)
            else:
                yield self.between[at : at + piece]
                at += piece

    def to_bytes(self) -> bytes:
        """Returns the content of the file."""
        recipes = {size: [[each.start, *each.pieces] for each in pair] for size, pair in self.recipes.items()}
        parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=24, enable_ldm=True)
        packed = zstandard.ZstdCompressor(compression_params=parameters).compress(_headed(recipes) + self.between)
        return _headed(self.keys) + packed

    @classmethod
    def from_bytes(cls, content: bytes) -> GraphBundle:
        """Reads the content of a file; raises ValueError, zstandard.ZstdError or others if it is damaged."""
        keys, packed = _split(content)
        recipes, between = _split(zstandard.ZstdDecompressor().decompress(packed))
        pairs = {size: (_recipe(detector), _recipe(masks)) for size, (detector, masks) in recipes.items()}
        return cls(keys, pairs, between)


def bundle_path(weights: Weights) -> Path:
    """Returns where the graphs of weights lie if there are any: beside them."""
    return weights.path.with_suffix(_SUFFIX)


def weights_as_fp32(weights: Weights) -> dict[str, bytes]:
    """Returns the bytes of each floating-point tensor of a .safetensors file as fp32, as the network computes."""
    with safe_open(weights.path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    return {n: t.astype(np.float32).tobytes() for n, t in tensors.items() if np.issubdtype(t.dtype, np.floating)}


def bundled_sizes(weights: Weights) -> tuple[str, ...]:
    """Returns the input sizes, as HEIGHTxWIDTH, whose graphs come with the package."""
    path = bundle_path(weights)
    return tuple(_read_keys(path)) if path.is_file() else ()


def bundled_graphs(weights: Weights, shape: tuple[int, int], key: str) -> tuple[bytes, bytes] | None:
    """Returns the ONNX files of the detector and the masks, or None if the package has none of this key.

    Raises:
        EngineError: the file is damaged.
    """
    size, path = f"{shape[0]}x{shape[1]}", bundle_path(weights)
    if not path.is_file() or _read_keys(path).get(size) != key:
        return None
    try:
        bundle = GraphBundle.from_bytes(path.read_bytes())
        return bundle.graphs(size, weights_as_fp32(weights).__getitem__)
    except (ValueError, KeyError, TypeError, zstandard.ZstdError) as error:
        raise _damaged(path, error) from error


def _read_keys(path: Path) -> dict[str, str]:
    try:
        keys: dict[str, str] = _split(path.read_bytes())[0]
    except ValueError as error:
        raise _damaged(path, error) from error
    return keys


def _damaged(path: Path, error: Exception) -> EngineError:
    return EngineError(f"{path} is damaged ({error}): reinstall roadmask.")


def _headed(header: object) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _split(content: bytes) -> tuple[Any, bytes]:
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    return json.loads(content[_LENGTH_BYTES:end]), content[end:]


def _recipe(written: list[Any]) -> Recipe:
    start, *pieces = written
    return Recipe(start, tuple(pieces))
