"""Where frames come from: videos, images, the sample drive."""

from roadmask.streaming.sources.arguments import parse_sources
from roadmask.streaming.sources.images import ImageSource
from roadmask.streaming.sources.opening import open_camera
from roadmask.streaming.sources.source import BaseSource, FrameSource
from roadmask.streaming.sources.timeline import Timeline

__all__ = ["BaseSource", "FrameSource", "ImageSource", "Timeline", "open_camera", "parse_sources"]
