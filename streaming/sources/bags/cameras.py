"""The cameras of a bag: which topics they are, and what each is called."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from roadmask.engines.errors import SourceError
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.sources.bags.bag import BAG_SUFFIXES, BagContent, TopicContent, bag_content, bag_files

_GENERIC = re.compile(
    r"(?:/(?:image|image_raw|image_rect|image_color|image_rect_color|image_mono|raw|rgb|color|colour|"
    r"compressed|image_compressed|compressed_image|compressed_video|video|h264|h265|ffmpeg))+$",
    re.IGNORECASE,
)
"""Ends of topics that say how an image is sent, not which camera it is from."""
_TRANSPORT = re.compile(r"/(?:compressed|ffmpeg|h264|h265|video)$", re.IGNORECASE)
"""Ends of topics that carry the images of another topic in compressed form (`image_transport`)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BagCamera:
    """One camera of a bag."""

    name: str
    """Name of the camera, made from its topic."""
    topic: TopicContent
    """Its images."""


def cameras_in(content: BagContent, topics: Sequence[str] = ()) -> list[BagCamera]:
    """Returns the cameras of a bag in the order of their topics.

    Where a topic has its images a second time in compressed form (`/image_raw` and `/image_raw/compressed`), only the
    one with more messages is a camera, or the first if both have as many. Distances (`16UC1`, `32FC1`) are no camera.

    Args:
        content: what is inside the bag.
        topics: the topics to take instead; all cameras if empty.

    Raises:
        SourceError: a chosen topic is not in the bag or has no images.
    """
    images = _image_topics(content)
    if topics:
        chosen = [_chosen(content, images, topic) for topic in dict.fromkeys(topics)]
    else:
        chosen = _without_copies([topic for topic in images.values() if not _is_depth(topic)])
    short = [camera_name(_GENERIC.sub("", topic.name)) for topic in chosen]
    counts = Counter(short)
    names = [
        name if name and counts[name] == 1 else camera_name(topic.name) or "camera"
        for name, topic in zip(short, chosen, strict=True)
    ]
    return [BagCamera(name, topic) for name, topic in zip(names, chosen, strict=True)]


def camera_info_of(content: BagContent, topic: str) -> dict[str, Any] | None:
    """Returns the first `CameraInfo` that belongs to a topic of images as plain data; None if there is none.

    It is the one in the same namespace: `/front/camera_info` for `/front/image_raw` and `/front/image_raw/compressed`.
    """
    from roadmask.streaming.sources.bags import messages  # noqa: PLC0415 - optional packages

    for namespace in (_GENERIC.sub("", topic), topic.rpartition("/")[0], topic):
        found = content.topics.get(f"{namespace}/camera_info")
        if found is not None and found.sample is not None and found.type == messages.CAMERA_INFO:
            return messages.decode_camera_info(found.sample)
    return None


def cameras_of(spec: str) -> dict[str, str]:
    """Returns camera name -> source for every camera of a bag, `drive.mcap` or `drive.mcap?topic=/front/image_raw`.

    Raises:
        SourceError: the bag cannot be read or has no camera.
    """
    path, topics = split_topics(spec)
    files = bag_files(Path(path)) if Path(path).is_dir() else [Path(path)]
    content = bag_content(files)
    cameras = cameras_in(content, topics)
    if not cameras:
        raise SourceError(no_camera(path, content))
    return {camera.name: f"{path}?topic={quote(camera.topic.name)}" for camera in cameras}


def with_topics(sources: Sequence[str], topics: Sequence[str]) -> list[str]:
    """Returns sources as typed, `[NAME=]SOURCE`, of which each bag has these topics of images.

    Raises:
        SourceError: none of the sources is a bag.
    """
    chosen = "&".join(f"topic={quote(topic)}" for topic in topics)
    typed = [f"{source}?{chosen}" if _is_bag(source) else source for source in sources]
    if topics and typed == list(sources):
        raise SourceError(f"expected a bag for --topic, got {', '.join(sources)}: --topic chooses among topics.")
    return typed if topics else list(sources)


def _is_bag(source: str) -> bool:
    path = Path(source if Path(source).exists() else source.rpartition("=")[2])
    return bool(bag_files(path)) if path.is_dir() else path.suffix.lower() in BAG_SUFFIXES


def split_topics(spec: str) -> tuple[str, list[str]]:
    """Splits a source at the `?topic=` of its bag, which may be repeated.

    Raises:
        SourceError: it has another parameter.
    """
    if Path(spec).exists() or "?" not in spec:
        return spec, []
    path, _, query = spec.rpartition("?")
    return path, topics_of(query, spec)


def topics_of(query: str, shown: str) -> list[str]:
    """Returns the topics in the query of a source.

    Raises:
        SourceError: it has another parameter.
    """
    parameters = parse_qsl(query, keep_blank_values=True)
    for name, _ in parameters:
        if name != "topic":
            raise SourceError(f"unknown parameter {name!r} in {shown!r}: a bag takes topic.")
    return [topic for _, topic in parameters]


def no_camera(path: str | Path, content: BagContent) -> str:
    """Returns the message for a bag without a camera."""
    if not content.topics:
        return f"{path} has no messages: nothing was recorded, or nothing is left of it."
    kinds = Counter(topic.type or "unknown" for topic in content.topics.values())
    shown = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(4))
    return (
        f"{path} has no camera: expected a topic of sensor_msgs/Image, CompressedImage, or Foxglove's images or video, "
        f"got {len(content.topics)} topics ({shown}{', ...' if len(kinds) > 4 else ''})."
    )


def _image_topics(content: BagContent) -> dict[str, TopicContent]:
    from roadmask.streaming.sources.bags import messages  # noqa: PLC0415 - optional packages

    return {name: topic for name, topic in content.topics.items() if topic.type in messages.IMAGE_TYPES}


def _chosen(content: BagContent, images: dict[str, TopicContent], topic: str) -> TopicContent:
    for name in (topic, f"/{topic}"):
        if name in images:
            return images[name]
        if name in content.topics:
            kind = content.topics[name].type
            raise SourceError(f"expected a topic with images, got {name} of type {kind}: choose {_listed(images)}.")
    raise SourceError(f"there is no topic {topic} in the bag: choose {_listed(images)}.")


def _listed(images: dict[str, TopicContent]) -> str:
    return " or ".join(images) or "another bag, this one has no images"


def _is_depth(topic: TopicContent) -> bool:
    from roadmask.streaming.sources.bags.messages import MessageError, decode_image_message  # noqa: PLC0415
    from roadmask.streaming.sources.bags.pixels import is_depth  # noqa: PLC0415

    if re.search(r"/compressedDepth$", topic.name, re.IGNORECASE):
        return True
    try:
        return topic.sample is not None and is_depth(decode_image_message(topic.sample).encoding.partition(";")[0])
    except MessageError:
        return False


def _without_copies(topics: Sequence[TopicContent]) -> list[TopicContent]:
    groups: dict[str, list[TopicContent]] = defaultdict(list)
    for topic in topics:
        groups[_TRANSPORT.sub("", topic.name)].append(topic)
    kept = []
    for group in groups.values():
        best = max(group, key=lambda topic: topic.messages)
        kept.append(best)
        for topic in group:
            if topic is not best:
                _log.warning("%s is not read: it has the images of %s; choose with --topic", topic.name, best.name)
    return kept
