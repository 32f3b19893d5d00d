"""Stored drives in the formats of other tools: one module for each format, one registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.streaming.formats.export.job import ExportJob as ExportJob
    from roadmask.streaming.formats.export.output import export_drive as export_drive
    from roadmask.streaming.formats.export.registry import FORMATS as FORMATS
    from roadmask.streaming.formats.export.registry import ExportFormat as ExportFormat

__all__ = ["FORMATS", "ExportFormat", "ExportJob", "export_drive"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.streaming.formats.export.job": ["ExportJob"],
        "roadmask.streaming.formats.export.output": ["export_drive"],
        "roadmask.streaming.formats.export.registry": ["FORMATS", "ExportFormat"],
    },
)
