"""The sample drive: ten seconds through a street that our own code draws, and the truth about every frame of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import ConfigError
from roadmask.engines.instances import Instances
from roadmask.engines.masks import RleMasks
from roadmask.sample_drive import scene
from roadmask.sample_drive.camera import Camera, Floats
from roadmask.sample_drive.photograph import Photograph
from roadmask.sample_drive.render import Renderer, Seen

if TYPE_CHECKING:
    from roadmask.sample_drive.score import DriveScore

VIEWS = ("front", "rear")
"""The cameras on board."""
MOST_ACTORS = 255
"""Ids are bytes, and 0 is nobody."""


@dataclass(frozen=True)
class SampleDriveConfig:
    """Which recording of the drive.

    Raises:
        ConfigError: the view is unknown, or a number is out of range.
    """

    seconds: float = 10.0
    """Length; after about ten seconds the street empties."""
    fps: float = 25.0
    """Frames a second."""
    height: int = 384
    """Of the image, pixels."""
    width: int = 640
    """Of the image, pixels."""
    view: str = "front"
    """One of `VIEWS`."""
    seed: int = 7
    """Of textures and noise; who drives and walks where is always the same."""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ConfigError(f"expected a view of the sample drive ({', '.join(VIEWS)}), got {self.view!r}.")
        if not (0 < self.seconds <= 60 and 0 < self.fps <= 240):
            raise ConfigError(
                f"expected up to 60 seconds at up to 240 frames a second, got {self.seconds} s at {self.fps} fps."
            )
        if not (32 <= self.height <= 4096 and 32 <= self.width <= 4096):
            raise ConfigError(f"expected an image of 32 to 4096 pixels each way, got {self.height} x {self.width}.")


@dataclass(frozen=True, eq=False)
class TruthFrame:
    """Everything that is to be found in one frame."""

    instances: Instances
    """What is seen, with exact masks (`RleMasks`) of the pixels that nothing hides; all scores are 1."""
    object_ids: NDArray[np.int64]
    """(N,) the same object has the same id in every frame and every view."""
    visible_fraction: NDArray[np.float32]
    """(N,) share of the pixels it would have in this image, were nothing in front of it, that is seen."""

    def __len__(self) -> int:
        return len(self.object_ids)


class TrackedInstances(Protocol):
    """What was found in one frame of the drive."""

    @property
    def frame_index(self) -> int:
        """Index of the frame in the drive."""
        ...

    @property
    def instances(self) -> Instances:
        """N instances, with masks."""
        ...

    @property
    def track_ids(self) -> NDArray[np.integer[Any]]:
        """(N,) track ids; 0 where an instance belongs to no track."""
        ...


class SampleDrive:
    """One camera's recording of the drive; any frame at any time, always the same.

    Args:
        config: which recording.
        actors: who is in the street, 255 at most; ids are their positions, from 1.

    Raises:
        ConfigError: there are too many actors.

    Example:
        >>> drive = SampleDrive(SampleDriveConfig(view="front"))
        >>> image, truth = drive.frame(120)
    """

    def __init__(self, config: SampleDriveConfig | None = None, actors: tuple[scene.Actor, ...] = scene.ACTORS) -> None:
        if len(actors) > MOST_ACTORS:
            raise ConfigError(
                f"expected up to {MOST_ACTORS} actors, which is what a canvas can tell apart, got {len(actors)}."
            )
        self.config = config or SampleDriveConfig()
        self.actors = actors

    def __len__(self) -> int:
        return max(round(self.config.seconds * self.config.fps), 1)

    def __repr__(self) -> str:
        c = self.config
        return f"SampleDrive({c.view}, {len(self)} frames of {c.width} x {c.height} at {c.fps:g} fps)"

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.config.fps

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.config.height, self.config.width

    def render(self, index: int) -> NDArray[np.uint8]:
        """Returns frame `index` as (H, W, 3) RGB.

        Raises:
            IndexError: there is no such frame.
        """
        return self._photograph.take(self._draw(index)[0], index)

    def truth(self, index: int) -> TruthFrame:
        """Returns what is to be found in frame `index`.

        Raises:
            IndexError: there is no such frame.
        """
        renderer, seconds, camera = self._at(index)
        return _truth(renderer.trace(seconds, camera, self.actors), self.actors)

    def frame(self, index: int, without: frozenset[int] = frozenset()) -> tuple[NDArray[np.uint8], TruthFrame]:
        """Returns frame `index` and its truth, in little more time than either.

        Args:
            index: from 0.
            without: ids of objects that are left out, with their shadows, to see what they hide.

        Raises:
            IndexError: there is no such frame.
        """
        image, seen = self._draw(index, without)
        return self._photograph.take(image, index), _truth(seen, self.actors)

    def score(self, frames: Iterable[TrackedInstances]) -> DriveScore:
        """Compares what was found and tracked in frames of this drive with the truth about them; see `score_drive`.

        Args:
            frames: for instance the frames of a store: `camera.frame(position)` of each position.

        Raises:
            InputError: a frame has no masks, or images of another size.
            IndexError: the drive has no such frame.
        """
        from roadmask.sample_drive.score import score_drive  # noqa: PLC0415 - it scores any drive, and imports this one

        found = list(frames)
        truths = [self.truth(frame.frame_index) for frame in found]
        return score_drive([frame.instances for frame in found], truths, [frame.track_ids for frame in found])

    def camera(self, index: int) -> Camera:
        """Returns where frame `index` is taken from.

        Raises:
            IndexError: there is no such frame.
        """
        return self._at(index)[2]

    def distances(self, index: int) -> Floats:
        """Returns (H, W) metres from the image plane to the street behind everybody; infinite in the sky.

        Raises:
            IndexError: there is no such frame.
        """
        renderer, _, camera = self._at(index)
        return renderer.distances(camera)

    def _draw(self, index: int, without: frozenset[int] = frozenset()) -> tuple[NDArray[np.uint8], Seen]:
        renderer, seconds, camera = self._at(index)
        return renderer.draw(seconds, camera, without, self.actors)

    def _at(self, index: int) -> tuple[Renderer, float, Camera]:
        if not 0 <= index < len(self):
            raise IndexError(f"expected a frame from 0 to {len(self) - 1}, got {index}.")
        seconds = index / self.config.fps
        camera = scene.camera_at(seconds, self.config.view, self.config.height, self.config.width)
        return _renderer(self.config.seed, camera.focal), seconds, camera

    @cached_property
    def _photograph(self) -> Photograph:
        return Photograph(self.config.height, self.config.width, self.config.seed)


@cache
def _renderer(seed: int, focal: float) -> Renderer:
    """Returns the renderer, whose textures take a second or two to paint, made once."""
    return Renderer(seed, focal)


def _truth(seen: Seen, actors: tuple[scene.Actor, ...]) -> TruthFrame:
    """Reads masks, boxes and classes off the image of ids."""
    height, width = seen.ids.shape
    object_ids = np.array([i for i in seen.visible_fraction if (seen.ids == i).any()], np.int64)
    # Masks are encoded column by column, so they are compared that way too.
    masks = (np.ascontiguousarray(seen.ids.T)[None] == object_ids[:, None, None].astype(np.uint8)).transpose(0, 2, 1)
    boxes = np.empty((len(object_ids), 4), np.float32)
    for row, mask in enumerate(masks):
        xs, ys = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        boxes[row] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
    shown = [actors[i - 1] for i in object_ids.tolist()]
    labels = np.array([CAR if isinstance(actor, scene.Car) else PEDESTRIAN for actor in shown], np.int64)
    fraction = np.array([seen.visible_fraction[i] for i in object_ids.tolist()], np.float32)
    scores = np.ones(len(object_ids), np.float32)
    instances = Instances((height, width), boxes, scores, labels, RleMasks.from_dense(masks, (height, width)))
    return TruthFrame(instances, object_ids.astype(np.int64), fraction)
