"""Stored drives in the formats of others: one file for each format, one registry."""

from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.output import export_drive
from roadmask.streaming.formats.export.registry import FORMATS, ExportFormat

__all__ = ["FORMATS", "ExportFormat", "ExportJob", "export_drive"]
