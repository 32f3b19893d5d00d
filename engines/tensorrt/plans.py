"""The cache of plans. A plan is code that the GPU's process runs: its manifest's SHA-256 is checked before it loads.

plans/<key>.plan    TensorRT's bytes
plans/<key>.json    the manifest, written last: without it there is no plan
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from roadmask.engines.errors import ConfigError, PlanError, PlanForeignError, PlanTamperedError
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.networks import cache

RECIPE = 2
"""Version of build.py: raised when it builds another plan from the same graph, which makes earlier plans stale."""
_LOG = logging.getLogger("roadmask")


@dataclass(frozen=True)
class PlanKey:
    """Everything that a plan depends on."""

    onnx_sha256: str
    weights: str
    """Name of the weights, for people; the hash of the ONNX covers their content."""
    flavour: str
    version: str
    """Version of TensorRT that built it."""
    chip: str
    """Target such as `sm89`, or the name and compute capability of the GPU that it was built on."""
    driver: str
    """Version of the GPU's driver; empty for a plan that was built without a GPU."""
    precision: str
    shape: str
    """Height and width of the network's input as HxW."""
    batch: int
    recipe: int = RECIPE

    @property
    def name(self) -> str:
        """Returns the stem of the plan's files."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
        return f"{self.shape}-b{self.batch}-{self.precision}-{self.chip.replace(' ', '_')}-{digest}"


@dataclass(frozen=True)
class Plan:
    """A plan in the cache."""

    key: PlanKey
    path: Path
    bytes: int
    sha256: str
    measured: dict[str, Any] | None
    """Measured accuracy of the precision before the plan was built; None if the plan was built unmeasured."""

    @property
    def manifest(self) -> Path:
        """Path of its manifest."""
        return self.path.with_suffix(".json")


def find_or_build(
    key: PlanKey, build: Callable[[], bytes], measured: dict[str, Any] | None = None
) -> tuple[Plan, bool]:
    """Returns the plan of a key and whether it was built now; two processes that want the same build it once.

    A plan that is damaged is built anew, and so is one that another version of anything made, each with a message. A
    plan that was built unmeasured and is measured now says so from then on.

    Raises:
        EngineError: it cannot be built, or the cache cannot be written; no half plan is left.
    """
    folder = cache.subfolder("plans")
    path = folder / f"{key.name}.plan"
    with cache.lock(folder / f"{key.name}.lock"):
        if path.with_suffix(".json").exists():
            try:
                plan = read_manifest(path.with_suffix(".json"))
                load(plan, key)
            except PlanError as error:
                _LOG.warning("building %s anew: %s", key.name, error)
            else:
                if plan.measured is None and measured is not None:
                    plan = replace(plan, measured=measured)
                    _write_manifest(plan)
                return plan, False
        _say_what_is_stale(key)
        content = build()
        plan = Plan(key, path, len(content), hashlib.sha256(content).hexdigest(), measured)
        plan.manifest.unlink(missing_ok=True)
        cache.write_atomically(path, content)
        try:
            _write_manifest(plan)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return plan, True


def _write_manifest(plan: Plan) -> None:
    written = {"key": asdict(plan.key), "bytes": plan.bytes, "sha256": plan.sha256, "measured": plan.measured}
    cache.write_atomically(plan.manifest, json.dumps(written, indent=2).encode())


def _say_what_is_stale(key: PlanKey) -> None:
    """Logs the plans for the same purpose that are stale, and what differs."""
    for path in manifests():
        try:
            old = read_manifest(path).key
        except PlanTamperedError as error:
            _LOG.warning("%s", error)
            continue
        use = ("weights", "flavour", "chip", "precision", "shape", "batch")
        if all(getattr(old, name) == getattr(key, name) for name in use):
            _LOG.warning("the plan %s is stale: it is for %s; building another", old.name, _differences(old, key))


def _differences(old: PlanKey, new: PlanKey) -> str:
    ours, theirs = asdict(new), asdict(old)
    return ", ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in ours if ours[name] != theirs[name])


def load(plan: Plan, key: PlanKey | None = None) -> bytes:
    """Returns the plan's bytes, checked against its manifest, and the manifest against the key if one is given.

    Raises:
        PlanTamperedError: the bytes are not those that were written.
        PlanForeignError: it was built of or for something else; the differences are named.
    """
    if key is not None and plan.key != key:
        apart = _differences(plan.key, key)
        raise PlanForeignError(f"{plan.path} is for {apart}: build it again with `roadmask engine build`.")
    try:
        content = plan.path.read_bytes()
    except OSError as error:
        raise PlanTamperedError(f"{plan.path} cannot be read ({error.strerror}): {_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != plan.sha256:
        raise PlanTamperedError(
            f"expected {plan.path} with the SHA-256 {plan.sha256[:12]}... of its manifest, got {found[:12]}...: it was "
            f"changed and is not loaded; {_AGAIN}"
        )
    return content


def read_manifest(path: Path) -> Plan:
    """Reads a manifest.

    Raises:
        PlanTamperedError: it is not what roadmask wrote.
    """
    try:
        written = json.loads(path.read_bytes())
        names = {field.name for field in fields(PlanKey)}
        if set(written) != {"key", "bytes", "sha256", "measured"} or set(written["key"]) != names:
            raise KeyError("fields")  # noqa: TRY301 - one message for all that can be wrong
        measured = None if written["measured"] is None else dict(written["measured"])
        size, digest = int(written["bytes"]), str(written["sha256"])
        plan = Plan(PlanKey(**written["key"]), path.with_suffix(".plan"), size, digest, measured)
        parse_input_size(plan.key.shape)
    except (OSError, ValueError, TypeError, KeyError, ConfigError) as error:
        raise PlanTamperedError(f"{path} is no manifest that roadmask wrote ({error}): {_AGAIN}") from error
    if plan.key.name != path.stem:
        raise PlanTamperedError(f"the manifest {path} describes the plan {plan.key.name}: it was changed; {_AGAIN}")
    return plan


def manifests() -> list[Path]:
    """Returns the manifests in the cache, by name."""
    return sorted(cache.subfolder("plans").glob("*.json"))


def unfinished() -> dict[str, int]:
    """Returns name and size in bytes of plans without a manifest: from builds that are running or were killed."""
    folder, left = cache.subfolder("plans"), dict[str, int]()
    for path in sorted((*folder.glob("*.plan"), *folder.glob(".*.plan.*"))):  # whole, and while they are written
        name = path.name.removeprefix(".").partition(".plan")[0]
        if not (folder / f"{name}.json").exists():
            with suppress(FileNotFoundError):  # it was finished meanwhile
                left[name] = left.get(name, 0) + path.stat().st_size
    return left


def remove(name: str) -> int:
    """Removes the plans whose names begin with `name`, unfinished ones too; waits for running builds. Returns how many.

    The locks stay: who waits for one that was unlinked would hold another than who comes next.
    """
    folder = cache.subfolder("plans")
    found = {each for each in (*unfinished(), *(path.stem for path in manifests())) if each.startswith(name)}
    for each in found:
        with cache.lock(folder / f"{each}.lock"):
            for path in (folder / f"{each}.json", folder / f"{each}.plan", *folder.glob(f".{each}.*")):
                path.unlink(missing_ok=True)
    return len(found)


_AGAIN = "remove it with `roadmask engine remove` and build it again."
