"""Everything that a resumed run needs, in plain tensors and JSON: killed at any step, it ends with the same bytes.

    checkpoint/
      step-000400/
        state.json             step, settings, best validation, random state of nothing: draws hang on seed and step
        shard-00.safetensors   weights, averaged weights and the optimizer's momentum, in files of at most 15 MB
        ...

A checkpoint is written beside the last one and renamed when it is whole; then the last one is removed. Files are small,
so that they can be carried to another machine, and hold the same numbers on a CPU and on a GPU.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.files import flush

SHARD_BYTES = 15 * 10**6
_STATE = "state.json"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run after some step."""

    state: dict[str, Any]
    """Plain data: `step`, `identity` (what decides the result), `best` and what else the trainer keeps."""
    tensors: dict[str, Tensor]
    """`model.*`, `average.*`, `momentum.*` and `best.*`."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; one that was there before is removed once this one is whole.

    Raises:
        StoreError: the disk is full or gone; the last checkpoint is untouched.
    """
    name = f"step-{checkpoint.state['step']:08d}"
    partial, whole = folder / f".{name}.partial", folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for number, shard in enumerate(_shards(checkpoint.tensors)):
            file = partial / f"shard-{number:02d}.safetensors"
            save_file(shard, file)
            flush(file)
        (partial / _STATE).write_text(json.dumps(checkpoint.state, indent=1, sort_keys=True))
        flush(partial / _STATE)
        if whole.exists():  # the same step again, after a resume
            shutil.rmtree(whole)
        partial.rename(whole)
        flush(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        last = newest_checkpoint(folder)
        kept = f"the last one is {last}" if last else "there is none yet"
        raise StoreError(
            f"cannot write the checkpoint {whole} ({error}); {kept}. Make room and run again with --resume."
        ) from error
    for old in sorted(folder.glob("step-*")):
        if old != whole:
            shutil.rmtree(old, ignore_errors=True)


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the folder of the newest whole checkpoint, or None."""
    return max(folder.glob("step-*"), default=None)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint. Nothing is unpickled.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        state = json.loads((path / _STATE).read_text())
        tensors: dict[str, Tensor] = {}
        for file in sorted(path.glob("shard-*.safetensors")):
            tensors |= load_file(file)
        if len(tensors) != state["tensors"]:
            raise ValueError(f"expected {state['tensors']} tensors, got {len(tensors)}")  # noqa: TRY301
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"the checkpoint {path} is damaged ({error}): remove it, or copy it again.") from error
    return Checkpoint(state, tensors)


def require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Compares what decides the result of a run.

    Raises:
        InputError: the checkpoint was made with other settings; each difference is named.
    """
    different = [
        f"{name}: {found.get(name)!r} then, {wanted.get(name)!r} now"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]
    if different:
        raise InputError(
            f"Cannot resume {path}: it was created with different settings ({'; '.join(different)}). Give the same "
            "ones, or another --out to begin anew."
        )


def _shards(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and used + size > SHARD_BYTES:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += size
    return shards
