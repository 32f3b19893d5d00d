"""Usage of Ray's object store."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from roadmask.engines.errors import EngineError


@dataclass(frozen=True)
class ObjectStore:
    """The object store of the Ray that this process is connected to."""

    used_bytes: int
    objects: int
    spilled_bytes: int
    """Bytes written to disk since Ray started, because the store was full."""


def require_grpc() -> None:
    """Checks that the object store can be inspected.

    Raises:
        EngineError: gRPC is missing.
    """
    if find_spec("grpc") is None:
        raise EngineError("reading Ray's object store needs gRPC, which is not installed: pip install grpcio")


def object_store() -> ObjectStore:
    """Returns what lies in the object store now."""
    import ray  # noqa: PLC0415 - Ray is optional, and slow to import
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address  # noqa: PLC0415

    state = get_state_from_address(ray.get_runtime_context().gcs_address)  # type: ignore[no-untyped-call]
    stats = get_memory_info_reply(state).store_stats  # type: ignore[no-untyped-call]
    return ObjectStore(int(stats.object_store_bytes_used), int(stats.num_local_objects), int(stats.spilled_bytes_total))
