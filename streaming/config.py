"""The configuration of a run: frozen dataclasses, read from TOML and overridden by the command line."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import cattrs

from roadmask.engines.classes import DEFAULT_CLASSES
from roadmask.engines.errors import ConfigError, RoadmaskError
from roadmask.engines.letterbox import parse_input_size
from roadmask.engines.load import SCORE_MIN_FLOOR
from roadmask.engines.segmenter import Precision
from roadmask.engines.table import Engine
from roadmask.geometry.calibration import Calibration
from roadmask.geometry.reading import read_calibration
from roadmask.streaming.ignore import IgnoreRegion
from roadmask.streaming.store import StoreConfig
from roadmask.tracking import IouTrackerConfig
from roadmask.tracking.propagation.gap import WEAK_SCORE_MIN

T = TypeVar("T")
DETECT_EVERY_MAX = 32
"""Largest `detect_every`: the frames in between are held in memory."""


@dataclass(frozen=True)
class EngineConfig:
    """Settings of the engine, which finds the instances."""

    weights: str = "lite"
    """Weights of the network: lite, resnet50, resnet50_v2, or the path of a state dict."""
    engine: Engine = "auto"
    """Engine that runs the network, one of those that `roadmask doctor` lists; auto for the fastest one that works."""
    precision: Precision = "auto"
    """Arithmetic of the network: auto, bf16, fp16, fp32 or int8; not every engine supports each."""
    classes: tuple[str, ...] = DEFAULT_CLASSES
    """Names of the classes to report."""
    score_min: float = 0.5
    """Minimum score of the reported instances, 0.05 to 1."""
    input_size: str | None = None
    """Height and width of the network's input as HxW; None to choose them by the aspect of the frames."""
    threads: int | None = None
    """Number of threads of an engine on the CPU; None for one thread per physical core."""

    def __post_init__(self) -> None:
        if not SCORE_MIN_FLOOR <= self.score_min <= 1:
            raise ConfigError(f"expected score_min between {SCORE_MIN_FLOOR} and 1, got {self.score_min}.")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"expected at least 1 thread, got {self.threads}.")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"expected the precision {', '.join(get_args(Precision))}, got {self.precision!r}.")
        _ = self.parsed_input_size

    @property
    def parsed_input_size(self) -> tuple[int, int] | None:
        """Height and width of the network's input in pixels; None if they are chosen by the aspect of the frames."""
        return None if self.input_size is None else parse_input_size(self.input_size)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run stores."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    """Settings of the engine, the table [engine] of a file."""
    tracker: IouTrackerConfig = field(default_factory=IouTrackerConfig)
    """Settings of the trackers, the table [tracker] of a file."""
    image_motion: bool = False
    """Whether trackers get the camera's motion from the background of the images."""
    store: StoreConfig = field(default_factory=StoreConfig)
    """Settings of the store, the table [store] of a file."""
    ignore: dict[str, str] = field(default_factory=dict)
    """Camera name, or "*" for all -> path of a mask image or a polygon; the table [ignore] of a file."""
    max_frames: int | None = None
    """Maximum number of frames to read from each camera; None for all."""
    detect_every: int = 1
    """Number of frames of a recorded camera from one detection to the next, 1 to 32. The frames in between are filled
    with instances propagated from both."""
    calibration: dict[str, str] = field(default_factory=dict)
    """Camera name, or "*" for all -> path of its calibration; the table [calibration] of a file."""
    camera_height: float | None = None
    """Height of the cameras over the road in metres; None for that of the calibration."""
    camera_pitch: float | None = None
    """Angle in degrees by which the cameras look down; None for that of the calibration."""

    def __post_init__(self) -> None:
        if not 1 <= self.detect_every <= DETECT_EVERY_MAX:
            raise ConfigError(f"expected detect_every from 1 to {DETECT_EVERY_MAX}, got {self.detect_every}.")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"expected max_frames of at least 1, got {self.max_frames}.")
        for text in self.ignore.values():
            IgnoreRegion(text)
        given = (("camera_height", self.camera_height), ("camera_pitch", self.camera_pitch))
        for name, value in given:
            if value is not None and not self.calibration:
                raise ConfigError(
                    f"expected a calibration with {name}: pass --calibration FILE, which holds the focal length."
                )

    def ignore_region(self, camera: str) -> IgnoreRegion | None:
        """Returns the region to ignore in the images of a camera, or None."""
        text = self.ignore.get(camera, self.ignore.get("*"))
        return None if text is None else IgnoreRegion(text)

    @property
    def detection(self) -> EngineConfig:
        """Settings of the engine that is built: where frames are filled, it reports weak instances too.

        Weak instances are not stored. They confirm what another detection found.
        """
        if self.detect_every == 1:
            return self.engine
        return replace(self.engine, score_min=min(self.engine.score_min, WEAK_SCORE_MIN))

    def calibration_of(self, camera: str) -> Calibration | None:
        """Returns the calibration of a camera, or None.

        Raises:
            CalibrationError: the file cannot be read, or the height or pitch is out of range.
        """
        path = self.calibration.get(camera, self.calibration.get("*"))
        if path is None:
            return None
        pitch = None if self.camera_pitch is None else math.radians(self.camera_pitch)
        return read_calibration(path, camera).with_mounting(self.camera_height, pitch, "the settings of the run")

    def describe(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values, as it is written into stores."""
        described: dict[str, Any] = cattrs.unstructure(self)
        described["engine"]["classes"] = list(self.engine.classes)
        if self.engine.precision == "auto":  # older stores, which lack it, can be resumed
            del described["engine"]["precision"]
        if self.detect_every == 1:  # likewise
            del described["detect_every"]
        if self.calibration:
            described["calibration"] = {
                camera: f"{path} sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
                for camera, path in self.calibration.items()
            }
        else:  # as older stores
            for name in ("calibration", "camera_height", "camera_pitch"):
                del described[name]
        described["ignore"] = {camera: IgnoreRegion(text).describe() for camera, text in self.ignore.items()}
        return described


def load_config(path: Path | str) -> RunConfig:
    """Reads a configuration from a TOML file; absent keys keep their defaults.

    Args:
        path: the file; `configs/recorded.toml` in roadmask's repository documents every key.

    Raises:
        ConfigError: the file is missing or not valid TOML, a key is unknown (the message names the nearest known one),
            or a value has another type.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"expected a configuration file, got {path}, which does not exist: see configs/recorded.toml in roadmask's "
            "repository for an example."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}.") from None
    return structure(RunConfig, values, str(path))


def structure(target: type[T], values: Mapping[str, Any], where: str) -> T:
    """Builds a configuration dataclass from plain values.

    Args:
        target: the dataclass.
        values: field name -> value.
        where: where the values come from, for messages.

    Raises:
        ConfigError: a key is unknown, or a value has another type.
    """
    _refuse_unknown(target, values, where)
    try:
        return _CONVERTER.structure(values, target)
    except cattrs.BaseValidationError as error:
        for cause in _leaves(error):
            if isinstance(cause, RoadmaskError):
                raise ConfigError(f"{where}: {cause}") from None
        problems = cattrs.transform_error(error, path="", format_exception=lambda cause, _: str(cause))
        raise ConfigError(f"{where}: {'; '.join(problems).replace('@ .', 'for ')}.") from None


def overridden(config: RunConfig, **engine: Any) -> RunConfig:
    """Returns the configuration with the engine values that are not None replaced."""
    given = {name: value for name, value in engine.items() if value is not None}
    return replace(config, engine=replace(config.engine, **given))


def _strict(kind: type[Any]) -> Any:
    """Refuses values that Python's constructors would convert silently, such as "0.5" or true for a number."""

    def check(value: Any, _: type[Any]) -> Any:
        allowed = (int, float) if kind is float else (kind,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"expected {kind.__name__}, got {value!r}")
        return kind(value)

    return check


def _strict_names(value: Any, _: type[Any]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"expected a list of names, got {value!r}")
    return tuple(value)


_CONVERTER = cattrs.Converter()
_CONVERTER.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _strict_names)
for _kind in (bool, int, float, str):
    _CONVERTER.register_structure_hook(_kind, _strict(_kind))


def _refuse_unknown(target: type[Any], values: Mapping[str, Any], where: str) -> None:
    hints = get_type_hints(target)
    known = [item.name for item in fields(target)]
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}."
            raise ConfigError(f"{where}: unknown key {key!r}: {hint}")
        if is_dataclass(hints[key]):
            _require_table(key, value, where)
            _refuse_unknown(hints[key], value, f"{where} [{key}]")
        elif get_origin(hints[key]) is dict:
            _require_table(key, value, where)


def _require_table(key: str, value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a table [{key}], got {value!r}.")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
