"""Folders of data sets: KITTI raw recordings, and data in the tables of nuScenes, as Lyft has them too.

Both state when each image was captured. An image that is listed and missing counts as a failed frame.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from roadmask.engines.errors import SourceError
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.frames import Clock, Frame, LostFrame
from roadmask.streaming.sources.files import identify_all, split_query
from roadmask.streaming.sources.images import read_image
from roadmask.streaming.sources.registry import SourceRequest
from roadmask.streaming.sources.source import BaseSource
from roadmask.streaming.sources.timeline import Timeline

_DEFAULT_PERIOD_NS = 100_000_000
_TABLES = ("sample_data", "calibrated_sensor", "sensor", "sample")


@dataclass
class _Listed:
    """The images of one camera as a data set lists them."""

    images: list[tuple[Path, int, str]] = field(default_factory=list)
    """Path, capture time in nanoseconds since 1970, and scene of each image."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """What the data set states of the camera: `camera_info` and `mounting`."""


class DatasetSource(BaseSource):
    """The images of one camera of a data set, at the times that it states.

    A new epoch begins with each scene and where the size of the images changes. An image that is missing or damaged
    gives a `LostFrame`.

    Args:
        camera: name of the camera.
        folder: folder of the data set.
        sensor: the camera's name in the data set, such as `image_02` or `CAM_FRONT`.

    Raises:
        SourceError: the folder has no such camera, or none of its images can be decoded.
    """

    clock: Clock = "unix"

    def __init__(self, camera: str, folder: Path, sensor: str) -> None:
        self.camera = camera
        self._sensor = sensor
        listed = _listed(folder)
        if sensor not in listed:
            known = ", ".join(listed) or "none"
            raise SourceError(f"expected a camera of {folder} ({known}), got {sensor!r}: choose one with ?camera=NAME.")
        self._images, self._calibration = listed[sensor].images, listed[sensor].calibration
        self.captured = 0
        self.frames_expected: int | None = len(self._images)
        span_ns = self._images[-1][1] - self._images[0][1]
        self.fps: float | None = (len(self._images) - 1) * 1e9 / span_ns if span_ns > 0 else None
        first = (read_image(path) for path, _, _ in self._images if path.is_file())
        size = next((image.shape[:2] for image in first if image is not None), None)
        if size is None:
            raise SourceError(
                f"none of the {len(self._images)} images of {sensor} in {folder} can be read, such as "
                f"{self._images[0][0]}: copy the images beside the tables."
            )
        self._size = size

    def describe(self) -> dict[str, Any]:
        """Returns names, size, calibration, a hash of the times, and a common hash of the images."""
        times = json.dumps([[path.name, time_ns, scene] for path, time_ns, scene in self._images]).encode()
        return {
            "kind": "dataset",
            "sensor": self._sensor,
            "image_size": list(self._size),
            "times_sha256": hashlib.sha256(times).hexdigest(),
            **self._calibration,
            **identify_all(path for path, _, _ in self._images if path.is_file()),
        }

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Reads image after image."""
        self.require_open()
        self.captured = 0
        timeline = Timeline(round(1e9 / self.fps) if self.fps else _DEFAULT_PERIOD_NS)
        epoch, seen = 0, (self._images[0][2], self._size)
        for index, (path, time_ns, scene) in enumerate(self._images):
            self.require_open()
            self.captured += 1
            image = read_image(path) if path.is_file() else None
            if image is None:
                yield LostFrame(self.camera, epoch, index, time_ns, "decode" if path.is_file() else "missing")
                continue
            now = (scene, image.shape[:2])
            epoch, seen = epoch + (now != seen), now
            yield Frame(self.camera, epoch, index, timeline.place(time_ns), self.clock, image)


def open_dataset(request: SourceRequest) -> DatasetSource:
    """Opens one camera of a data set, `dataset:FOLDER?camera=CAM_FRONT`.

    Raises:
        SourceError: see `DatasetSource`.
    """
    sensor = dict(parse_qsl(request.query)).get("camera", request.camera)
    return DatasetSource(request.camera, Path(request.location), sensor)


def cameras_of_dataset(spec: str) -> dict[str, str]:
    """Returns camera name -> source for every camera of a data set; nothing if the folder is none."""
    folder, _ = split_query(spec)
    names = {sensor: camera_name(sensor) for sensor in _listed(Path(folder))}
    return {name: f"dataset:{folder}?camera={quote(sensor)}" for sensor, name in names.items()}


def _listed(folder: Path) -> dict[str, _Listed]:
    tables = next((each for each in (folder, *sorted(folder.glob("v1.0-*"))) if _has_tables(each)), None)
    return _kitti_raw(folder) if tables is None else _nuscenes(folder, tables)


def _kitti_raw(folder: Path) -> dict[str, _Listed]:
    """Lists `image_02/data/0000000000.png`, `image_02/timestamps.txt` and so on: line N is the time of image N."""
    found = {}
    for times in sorted(folder.glob("image_0[0-9]/timestamps.txt")):
        images = {int(path.stem): path for path in (times.parent / "data").glob("*.*") if path.stem.isdigit()}
        lines = times.read_text(encoding="utf-8").split("\n")
        stamped = [(n, _kitti_time(line, times)) for n, line in enumerate(lines) if line.strip()]
        missing = times.parent / "data"
        listed = [(images.get(n, missing / f"{n:010d}.png"), time_ns, "") for n, time_ns in stamped]
        if listed:
            found[times.parent.name] = _Listed(listed)
    return found


def _kitti_time(line: str, path: Path) -> int:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?", line.strip())
    if match is None:
        raise SourceError(f"expected times such as '2011-09-26 13:02:25.594360375' in {path}, got {line[:40]!r}.")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def _has_tables(folder: Path) -> bool:
    return all((folder / f"{name}.json").is_file() for name in _TABLES)


def _nuscenes(folder: Path, tables: Path) -> dict[str, _Listed]:
    """Lists the images of `sample_data.json` by the channels of `sensor.json`; their paths count from the folder."""
    try:
        data, calibrated, sensors, samples = (
            json.loads((tables / f"{name}.json").read_text(encoding="utf-8")) for name in _TABLES
        )
        channels = {each["token"]: each["channel"] for each in sensors if each["modality"] == "camera"}
        calibrations = {each["token"]: each for each in calibrated if each["sensor_token"] in channels}
        scenes = {each["token"]: each["scene_token"] for each in samples}
        found: dict[str, _Listed] = {}
        for row in sorted(data, key=lambda each: float(each["timestamp"])):
            calibration = calibrations.get(row["calibrated_sensor_token"])
            if calibration is None:
                continue  # a lidar or a radar
            listed = found.setdefault(channels[calibration["sensor_token"]], _Listed())
            scene = scenes.get(row["sample_token"], "")
            listed.images.append((folder / row["filename"], round(row["timestamp"]) * 1000, scene))
            listed.calibration = listed.calibration or _calibration(calibration, row)
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise SourceError(f"cannot read the tables of nuScenes in {tables}: {error!r}. Copy them again.") from error
    return dict(sorted(found.items()))


def _calibration(calibrated: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    k: Sequence[float] = [float(value) for line in calibrated["camera_intrinsic"] for value in line]
    return {
        "camera_info": {"height": row.get("height", 0), "width": row.get("width", 0), "k": list(k)},
        "mounting": {name: [float(value) for value in calibrated[name]] for name in ("translation", "rotation")},
    }
