"""A bag of tracks as a sink: what a vehicle's other programs read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadmask.engines.errors import InputError, RoadmaskError
from roadmask.engines.extras import missing_package
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.messages.convert import FrameAccount, FrameResult, instance_array
from roadmask.streaming.sinks.sink import BaseSink, CameraDescription, TrackedFrame

if TYPE_CHECKING:
    from roadmask.streaming.messages.track_bag import TrackBag


class BagSink(BaseSink):
    """Writes the tracks of a camera as ROS 2 messages into an MCAP file, see `TrackBag`.

    A run that is killed leaves a bag that opens at its last chunk.

    Args:
        path: the bag; its name ends in .mcap.

    Raises:
        InputError: the name has another suffix, or something exists at the path.
    """

    def __init__(self, path: Path) -> None:
        require_bag_writable(path)
        self._path = path
        self._bag: TrackBag | None = None
        self._account = FrameAccount()

    def open(self, camera: str, description: CameraDescription) -> None:
        """Creates the bag.

        Raises:
            EngineError: the package that writes bags is not installed.
            StoreError: the bag cannot be written.
        """
        from roadmask.streaming.messages.track_bag import TrackBag  # noqa: PLC0415 - an optional package

        self._namespace, self._frame_id = topic_names(camera, description.source)
        self._class_names = description.class_names
        self._bag = TrackBag(self._path)

    def write(self, tracked: TrackedFrame) -> None:
        """Writes the tracks of a frame.

        Raises:
            StoreError: the disk is full or gone.
        """
        frame, tracks = tracked.frame, tracked.tracks
        self._account.stored += 1
        result = FrameResult(
            frame.camera,
            frame.frame_index,
            frame.timestamp_ns,
            frame.epoch,
            tracks.instances,
            tracks.track_ids,
            tracks.states,
            tracks.ages_ns,
            tracks.velocities,
            tracks.lost,
            tracks.distances,
        )
        message = instance_array(result, self._account, self._class_names, frame_id=self._frame_id)
        assert self._bag is not None  # noqa: S101 - `open` came before
        self._bag.write(self._namespace, message)

    def lost(self, item: LostFrame) -> None:
        """Counts a frame without tracks."""
        self._account.add_lost(item)

    def close(self, captured: int | None) -> None:  # noqa: ARG002 - the bag is whole however the camera ended
        """Writes the index of the bag.

        Raises:
            StoreError: the disk is full or gone.
        """
        if self._bag is not None:
            self._bag.close()

    def abort(self) -> None:
        """Keeps what was written."""
        with suppress(RoadmaskError):  # the run raises its own error
            self.close(None)


def topic_names(camera: str, source: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the namespace of a camera's topics and its frame id: those of the bag that it was recorded from, if any.

    Args:
        camera: name of the camera.
        source: description of its source.
    """
    topic = str(source.get("topic", ""))
    namespace = re.sub(r"/(?:image|compressed|video)[^/]*(?:/compressed)?$", "", topic) if topic else f"/{camera}"
    return namespace or f"/{camera}", str(source.get("frame_id") or camera)


def require_bag_writable(path: Path) -> None:
    """Returns if a bag can be created at a path.

    Raises:
        InputError: its name has another suffix, its folder is missing, or something exists at the path.
        EngineError: the package that writes bags is not installed.
    """
    if find_spec("mcap") is None:
        raise missing_package("mcap", "writing bags", extra="bags")
    if path.suffix.lower() != ".mcap":
        raise InputError(f"expected a name that ends in .mcap for a bag, got {path}.")
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} already exists: choose another name, or remove it first.")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the bag {path.name}: create it first.")


def bag_path(path: Path, camera: str, *, several: bool) -> Path:
    """Returns the bag of one camera: `out.mcap`, or with several cameras `out.NAME.mcap`."""
    return path.with_name(f"{path.stem}.{camera}{path.suffix}") if several else path


def bag_sinks(path: Path, several: bool, camera: str) -> list[BagSink]:
    """Returns the sink of one camera; a `SinkFactory` once the first two arguments are bound."""
    return [BagSink(bag_path(path, camera, several=several))]
