"""A bag: one file or the files of one recording, what is inside, and its messages in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from roadmask.engines.errors import SourceError
from roadmask.engines.extras import missing_package
from roadmask.streaming.sources.bags.raw import DamagedBagError, RawMessage
from roadmask.streaming.sources.files import list_folder, require_file

BAG_SUFFIXES = frozenset({".mcap", ".db3", ".bag"})
_MAGIC = {b"\x89MCAP0\r\n": ".mcap", b"SQLite format 3\0": ".db3", b"#ROSBAG V2.0\n": ".bag"}
_log = logging.getLogger(__name__)


@dataclass
class TopicContent:
    """What a bag holds of one topic."""

    name: str
    """Name of the topic."""
    type: str
    """Type of its messages, such as `sensor_msgs/Image`."""
    messages: int = 0
    """Number of messages."""
    first_ns: int = 0
    """Time at which its first message was recorded, in nanoseconds."""
    last_ns: int = 0
    """Time at which its last message was recorded, in nanoseconds."""
    first_stamp_ns: int = 0
    """Earliest time in the headers of its messages in nanoseconds, if they are images; 0 if no header has one."""
    last_stamp_ns: int = 0
    """Latest time in the headers of its messages in nanoseconds, if they are images; 0 if no header has one."""
    sample: RawMessage | None = None
    """Its first message, for images and camera calibrations."""


@dataclass
class BagContent:
    """What is inside a bag."""

    topics: dict[str, TopicContent] = field(default_factory=dict)
    """Topics by name, in the order of their names."""
    problems: list[str] = field(default_factory=list)
    """What is missing or damaged, as sentences that begin with the name of the file."""

    @property
    def messages(self) -> int:
        """Number of messages of all topics."""
        return sum(topic.messages for topic in self.topics.values())


def read_messages(paths: Sequence[Path], problems: list[str] | None = None) -> Iterator[RawMessage]:
    """Yields the messages of the files of one recording, one file after the other.

    Args:
        paths: files of a bag in their order.
        problems: receives what is missing or damaged.

    Raises:
        SourceError: a file is no bag, or cannot be read.
        EngineError: the packages that read bags are not installed.
    """
    for path in paths:
        found: list[str] = []
        try:
            yield from _reader(path)(path, found)
        except DamagedBagError as error:
            raise SourceError(
                f"cannot read {path} as a bag: {error}. Expected an MCAP file, a db3 file of rosbag2, or a ROS 1 bag."
            ) from error
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}.") from error
        if problems is not None:
            problems += [f"{path.name}: {each}" for each in dict.fromkeys(found)]


def bag_content(paths: Sequence[Path]) -> BagContent:
    """Reads a whole bag once and returns what is inside; a bag that did not change is not read again.

    Raises:
        SourceError: a file is no bag, or cannot be read.
    """
    stats = [path.stat() for path in map(require_file, paths)]
    return _content(tuple(paths), tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


def bag_files(folder: Path) -> list[Path]:
    """Returns the files of a ROS 2 bag that is a folder, in their order; an empty list if it holds none.

    The order is that of its `metadata.yaml`, or of the names where there is none or it cannot be read.

    Raises:
        SourceError: a file that the metadata names is missing, or the bag is compressed as a whole.
    """
    files = list_folder(folder)
    found = [path for path in files if path.suffix.lower() in BAG_SUFFIXES]
    listed = [folder / name for name in _metadata_files(folder / "metadata.yaml")]
    packed = [path for path in (*listed, *files) if path.suffix.lower() == ".zstd" and path.is_file()]
    if packed and not found:
        raise SourceError(f"{packed[0]} is compressed as a whole: unpack it first with `zstd -d {packed[0].name}`.")
    missing = [path for path in listed if not path.is_file()]
    if missing and len(missing) == len(listed):
        listed = []  # the files were renamed, which is common, and are read in the order of their names
    for path in missing if listed else ():
        _log.warning("the bag %s lacks its file %s: what the others hold is read", folder, path.name)
    return [path for path in listed if path.is_file()] or found


def files_of_bag(path: Path) -> list[Path]:
    """Returns the files of a bag that is a file or a folder, in their order; an empty list if the path is no bag.

    Raises:
        SourceError: it has the name of a bag and cannot be read.
    """
    if path.is_dir():
        return [] if path.suffix == ".zarr" else bag_files(path)
    return [require_file(path)] if path.suffix.lower() in BAG_SUFFIXES else []


@lru_cache(maxsize=16)
def _content(paths: tuple[Path, ...], _changed: tuple[tuple[int, int], ...]) -> BagContent:
    from roadmask.streaming.sources.bags import messages  # noqa: PLC0415 - after the check for its packages

    content = BagContent()
    topics: dict[str, TopicContent] = {}
    for raw in read_messages(paths, content.problems):
        topic = topics.get(raw.topic)
        if topic is None:
            sample = raw if raw.type in messages.IMAGE_TYPES or raw.type == messages.CAMERA_INFO else None
            topic = topics[raw.topic] = TopicContent(raw.topic, raw.type, 0, raw.log_ns, raw.log_ns, sample=sample)
        topic.messages += 1
        topic.first_ns, topic.last_ns = min(topic.first_ns, raw.log_ns), max(topic.last_ns, raw.log_ns)
        stamp_ns = messages.stamp_of(raw) if raw.type in messages.IMAGE_TYPES else None
        if stamp_ns:
            topic.first_stamp_ns = min(topic.first_stamp_ns or stamp_ns, stamp_ns)
            topic.last_stamp_ns = max(topic.last_stamp_ns, stamp_ns)
    content.topics = dict(sorted(topics.items()))
    for problem in content.problems:
        _log.warning("%s; what is whole is read", problem)
    return content


def _reader(path: Path) -> Callable[[Path, list[str]], Iterator[RawMessage]]:
    """Returns the reader of a file by its first bytes: names of bags are not reliable."""
    for package in ("mcap", "rosbags"):
        if find_spec(package) is None:
            raise missing_package(package, "reading bags", extra="bags")
    with path.open("rb") as file:
        head = file.read(16)
    kind = next((suffix for magic, suffix in _MAGIC.items() if head.startswith(magic)), path.suffix.lower())
    if kind == ".db3":
        from roadmask.streaming.sources.bags.db3_file import read_db3  # noqa: PLC0415 - optional packages

        return read_db3
    if kind == ".bag":
        from roadmask.streaming.sources.bags.ros1_file import read_ros1  # noqa: PLC0415

        return read_ros1
    from roadmask.streaming.sources.bags.mcap_file import read_mcap  # noqa: PLC0415

    return read_mcap


def _metadata_files(path: Path) -> list[str]:
    if not path.is_file() or find_spec("ruamel.yaml") is None:
        return []
    from ruamel.yaml import YAML  # noqa: PLC0415 - comes with rosbags
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        data: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        names = data["rosbag2_bagfile_information"]["relative_file_paths"]
        return [str(name) for name in names if Path(str(name)).name == str(name)]
    except (YAMLError, OSError, UnicodeDecodeError, LookupError, TypeError):
        return []
