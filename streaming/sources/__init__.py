"""Where frames come from: videos, images, the sample drive.

Nothing that reads them is loaded before it is used, so that help texts can name the kinds of sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadmask.lazy import lazy_names

if TYPE_CHECKING:
    from roadmask.streaming.sources.arguments import parse_sources as parse_sources
    from roadmask.streaming.sources.images import ImageSource as ImageSource
    from roadmask.streaming.sources.opening import open_camera as open_camera
    from roadmask.streaming.sources.source import BaseSource as BaseSource
    from roadmask.streaming.sources.source import FrameSource as FrameSource
    from roadmask.streaming.sources.timeline import Timeline as Timeline

__all__ = ["BaseSource", "FrameSource", "ImageSource", "Timeline", "open_camera", "parse_sources"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "roadmask.streaming.sources.arguments": ["parse_sources"],
        "roadmask.streaming.sources.images": ["ImageSource"],
        "roadmask.streaming.sources.opening": ["open_camera"],
        "roadmask.streaming.sources.source": ["BaseSource", "FrameSource"],
        "roadmask.streaming.sources.timeline": ["Timeline"],
    },
)
