"""The formats that a stored drive is exported to. Each is registered here and nowhere else.

A new format is a module in this package with `write(job, path)`, which writes the file or makes the folder at `path`,
and an entry in `FORMATS`. It needs neither to check `path` nor to clean up: see `export_drive`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roadmask.streaming.formats.export.job import ExportJob

    Writer = Callable[[ExportJob, Path], None]


@dataclass(frozen=True)
class ExportFormat:
    """One format."""

    name: str
    """Its name on the command line."""
    title: str
    """What it is called in help texts."""
    module: str
    """Full name of the module that writes it; imported when first needed."""
    suffix: str
    """Suffix of the output file, with the dot; empty where the output is a folder."""
    single_camera: bool = False
    """Whether it holds a single camera."""
    images: bool = False
    """Whether it can hold images, so that they can be anonymized."""
    image_files: bool = False
    """Whether it names image files, which can be written beside its output."""
    packages: tuple[str, ...] = ()
    """Modules that must be installed, from `extra`."""
    extra: str = "export"
    """Extra of roadmask that installs them."""

    @property
    def writer(self) -> Writer:
        """The function that writes the format."""
        write: Any = import_module(self.module).write
        return write  # type: ignore[no-any-return]


_HERE = "roadmask.streaming.formats.export"

FORMATS: dict[str, ExportFormat] = {
    each.name: each
    for each in (
        ExportFormat("coco", "COCO JSON", f"{_HERE}.coco", ".json", image_files=True),
        ExportFormat("kitti-mots", "KITTI MOTS", f"{_HERE}.kitti_mots", ""),
        ExportFormat("cvat", "CVAT XML", f"{_HERE}.cvat", ".xml", single_camera=True),
        ExportFormat("rle-jsonl", "JSON lines", f"{_HERE}.rle_jsonl", ".jsonl"),
        ExportFormat("parquet", "Parquet", f"{_HERE}.parquet", ".parquet", packages=("pyarrow",)),
        ExportFormat("video", "a video", f"{_HERE}.video", ".mp4", single_camera=True, images=True),
        ExportFormat("rerun", "a rerun recording", f"{_HERE}.rerun_file", ".rrd", images=True, packages=("rerun",)),
        ExportFormat("mcap", "a bag", f"{_HERE}.mcap_file", ".mcap", packages=("mcap",), extra="bags"),
    )
}
"""Name -> format, in the order of help texts."""
