"""Reads a drive: opens its cameras when they are asked for, also while it is being written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roadmask.engines.errors import StoreCorruptError, StoreMissingError, StoreSchemaError
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.layout import METADATA, SCHEMA_VERSION, read_attributes


class Drive(Mapping[str, CameraReader]):
    """A stored drive: camera name -> `CameraReader`."""

    def __init__(self, path: Path, attributes: dict[str, Any]) -> None:
        """Not meant to be called: use `open_drive`."""
        self.path = path
        self.attributes = attributes
        """Attributes of the store: engine, sources, config, versions."""
        self.class_names: dict[int, str] = {
            int(category_id): name for category_id, name in attributes["class_names"].items()
        }
        """COCO category id -> name, of the classes that may occur."""
        self._names = camera_names(path)
        self._open: dict[str, CameraReader] = {}

    def __getitem__(self, name: str) -> CameraReader:
        if name not in self._names:
            raise KeyError(f"{self.path} has no camera {name!r}: it has {', '.join(self._names) or 'none'}.")
        if name not in self._open:
            self._open[name] = CameraReader(self.path / name, self.class_names)
        return self._open[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own would open the camera

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Drive({self.path}: {', '.join(self._names) or 'no cameras'})"


def open_drive(path: Path | str) -> Drive:
    """Opens a stored drive for reading, also while it is being written.

    Example::

        front = open_drive("drive.zarr")["front"]
        front.frame(120).instances, front.id_map(120), front.track(17)

    Raises:
        StoreMissingError: there is nothing at the path, or no store of roadmask.
        StoreSchemaError: the store has another schema version.
        StoreCorruptError: its attributes are damaged.
    """
    path = Path(path)
    if not path.exists():
        raise StoreMissingError(f"expected a store at {path}, found nothing: check the path.")
    if not (path / METADATA).is_file():
        raise StoreMissingError(
            f"expected a store at {path}, found no {METADATA} in it: give the folder of a store, such as drive.zarr."
        )
    attributes = read_attributes(path)
    version = attributes.get("schema_version")
    if version is None:
        raise StoreMissingError(
            f"expected a store of roadmask at {path}, found another Zarr group: it has no schema_version."
        )
    if not isinstance(version, int) or version < 1:
        raise StoreCorruptError(f"{path / METADATA}: expected a positive integer for schema_version, got {version!r}.")
    require_schema(path, version, attributes.get("roadmask_version"))
    try:
        return Drive(path, attributes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreCorruptError(f"{path / METADATA}: expected class_names by category id, got {error!r}.") from error


def require_schema(path: Path, version: int, written_by: str | None) -> None:
    """Refuses a store of another schema version.

    Args:
        path: the store, for the message.
        version: its schema version.
        written_by: the roadmask that wrote it, as far as the store says.

    Raises:
        StoreSchemaError: this roadmask cannot read it.
    """
    if version > SCHEMA_VERSION:
        needed = written_by or "newer"
        raise StoreSchemaError(
            f"{path} has schema version {version}, this roadmask reads version {SCHEMA_VERSION}: it was written by "
            f"roadmask {needed}; pip install --upgrade 'roadmask>={needed}'."
        )
    if version < SCHEMA_VERSION:
        raise StoreSchemaError(
            f"{path} has schema version {version}, this roadmask reads version {SCHEMA_VERSION}: record the drive "
            f"again, or export it with the roadmask that wrote it ({written_by or 'an older one'})."
        )


def camera_names(path: Path) -> list[str]:
    """Returns the cameras of a store in alphabetical order; a folder without a commit is not a camera."""
    return sorted(folder.name for folder in path.iterdir() if (folder / METADATA).is_file())
