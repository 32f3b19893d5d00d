"""The sample drive: ten seconds through a street that code draws, and the ground truth of every frame."""

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
"""Names of the cameras on board."""
MOST_ACTORS = 255
"""Maximum number of actors: an id is one byte, and 0 means nobody."""


@dataclass(frozen=True)
class SampleDriveConfig:
    """The settings of one recording of the drive.

    Raises:
        ConfigError: the view is unknown, or a number is out of range.
    """

    seconds: float = 10.0
    """Length in seconds; after about ten seconds the street is empty."""
    fps: float = 25.0
    """Frames per second."""
    height: int = 384
    """Height of the image in pixels."""
    width: int = 640
    """Width of the image in pixels."""
    view: str = "front"
    """Camera on board, one of `VIEWS`."""
    seed: int = 7
    """Seed of textures and noise. The actors and their paths do not depend on it."""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ConfigError(f"expected a view of the sample drive ({', '.join(VIEWS)}), got {self.view!r}.")
        if not (0 < self.seconds <= 60 and 0 < self.fps <= 240):
            raise ConfigError(
                f"expected up to 60 seconds at up to 240 frames per second, got {self.seconds} s at {self.fps} fps."
            )
        if not (32 <= self.height <= 4096 and 32 <= self.width <= 4096):
            raise ConfigError(f"expected an image of 32 to 4096 pixels each way, got {self.height} x {self.width}.")


@dataclass(frozen=True, eq=False)
class TruthFrame:
    """The ground truth of one frame."""

    instances: Instances
    """Every visible object, with the exact mask (`RleMasks`) of its visible pixels; all scores are 1."""
    object_ids: NDArray[np.int64]
    """(N,) id of each object, the same in every frame and every view."""
    visible_fraction: NDArray[np.float32]
    """(N,) visible fraction of the pixels that each object would have in this image if nothing were in front of it."""

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
    """The recording of the drive by one camera: frames in any order, always the same.

    Args:
        config: settings of the recording; the defaults if None.
        actors: cars, pedestrians and riders in the street, at most 255. Their ids are their positions, from 1.

    Raises:
        ConfigError: there are too many actors.

    Example:
        >>> drive = SampleDrive(SampleDriveConfig(view="front"))
        >>> image, truth = drive.frame(120)
    """

    def __init__(self, config: SampleDriveConfig | None = None, actors: tuple[scene.Actor, ...] = scene.ACTORS) -> None:
        if len(actors) > MOST_ACTORS:
            raise ConfigError(
                f"expected up to {MOST_ACTORS} actors, whose ids fit into a byte, got {len(actors)}: pass fewer."
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
        """Frames per second."""
        return self.config.fps

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.config.height, self.config.width

    def render(self, index: int) -> NDArray[np.uint8]:
        """Returns the image of frame `index`, uint8 (H, W, 3) RGB.

        Raises:
            IndexError: there is no such frame.
        """
        return self._photograph.take(self._draw(index)[0], index)

    def truth(self, index: int) -> TruthFrame:
        """Returns the ground truth of frame `index`.

        Raises:
            IndexError: there is no such frame.
        """
        renderer, seconds, camera = self._at(index)
        return _truth(renderer.trace(seconds, camera, self.actors), self.actors)

    def frame(self, index: int, without: frozenset[int] = frozenset()) -> tuple[NDArray[np.uint8], TruthFrame]:
        """Returns the image of frame `index` and its ground truth, in little more time than one of them takes.

        Args:
            index: index of the frame, from 0.
            without: ids of objects to leave out, with their shadows, to see what they hide.

        Raises:
            IndexError: there is no such frame.
        """
        image, seen = self._draw(index, without)
        return self._photograph.take(image, index), _truth(seen, self.actors)

    def score(self, frames: Iterable[TrackedInstances]) -> DriveScore:
        """Compares what was found and tracked in frames of this drive with the truth about them; see `score_drive`.

        Args:
            frames: for instance a camera of a store, which is a sequence of its frames.

        Raises:
            InputError: a frame has no masks, or images of another size.
            IndexError: the drive has no such frame.
        """
        from roadmask.sample_drive.score import score_drive  # noqa: PLC0415 - it scores any drive, and imports this one

        found = list(frames)
        truths = [self.truth(frame.frame_index) for frame in found]
        return score_drive([frame.instances for frame in found], truths, [frame.track_ids for frame in found])

    def camera(self, index: int) -> Camera:
        """Returns the camera of frame `index`.

        Raises:
            IndexError: there is no such frame.
        """
        return self._at(index)[2]

    def distances(self, index: int) -> Floats:
        """Returns (H, W) metres from the image plane to the street without actors; infinite in the sky.

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
            raise IndexError(f"expected a frame index from 0 to {len(self) - 1}, got {index}.")
        seconds = index / self.config.fps
        camera = scene.camera_at(seconds, self.config.view, self.config.height, self.config.width)
        return _renderer(self.config.seed, camera.focal), seconds, camera

    @cached_property
    def _photograph(self) -> Photograph:
        return Photograph(self.config.height, self.config.width, self.config.seed)


@cache
def _renderer(seed: int, focal: float) -> Renderer:
    """Returns the renderer; it is made once, because its textures take a second or two to paint."""
    return Renderer(seed, focal)


def _truth(seen: Seen, actors: tuple[scene.Actor, ...]) -> TruthFrame:
    """Returns the masks, boxes and classes of an image of ids."""
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
