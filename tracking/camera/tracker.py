"""A tracker that takes camera motion from the vehicle, or else from the images, or else from the boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.tracking.camera.image_motion import SmallImage, image_motion
from roadmask.tracking.iou.motion import Floats
from roadmask.tracking.iou.state import IouTrackerState
from roadmask.tracking.iou.tracker import IouTracker
from roadmask.tracking.tracks import Tracks

_IMAGE = "image/"


@dataclass(frozen=True, eq=False)
class CameraTrackerState:
    """State of a `CameraTracker` after a frame."""

    tracker: IouTrackerState
    """State of the inner tracker."""
    image: SmallImage | None
    """Last image of the epoch; None if the last frame came without one."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns the state as named arrays of numbers."""
        image = {} if self.image is None else self.image.to_arrays()
        return self.tracker.to_arrays() | {_IMAGE + name: values for name, values in image.items()}


class CameraTracker:
    """An `IouTracker` with camera motion that is estimated from the background of the images.

    A frame without an image, or whose motion cannot be estimated, is tracked as by `IouTracker` alone.

    Args:
        tracker: inner tracker, used by nothing else; None creates one with the default settings.
    """

    def __init__(self, tracker: IouTracker | None = None) -> None:
        self._tracker = tracker if tracker is not None else IouTracker()
        self._image: SmallImage | None = None

    @property
    def next_id(self) -> int:
        """Id of the next new track."""
        return self._tracker.next_id

    def start_epoch(self) -> None:
        """Ends all tracks and forgets the last image. Ids continue."""
        self._tracker.start_epoch()
        self._image = None

    def state(self) -> CameraTrackerState:
        """Returns the current state; cheap enough to be called after every frame."""
        return CameraTrackerState(self._tracker.state(), self._image)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Continues from a state; see `Tracker.restore`.

        Raises:
            InputError: the arrays are not the state of a `CameraTracker`.
        """
        image = {name.removeprefix(_IMAGE): values for name, values in arrays.items() if name.startswith(_IMAGE)}
        remembered = SmallImage.from_arrays(image) if image else None
        self._tracker.restore({name: values for name, values in arrays.items() if not name.startswith(_IMAGE)})
        self._image = remembered

    def update(
        self,
        instances: Instances,
        timestamp_ns: int,
        image: NDArray[np.uint8] | None = None,
        *,
        camera: Floats | None = None,
    ) -> Tracks:
        """Tracks the instances of the next frame; see `IouTracker.update`.

        Args:
            instances: instances of the frame.
            timestamp_ns: capture time in nanoseconds, later than that of the previous frame.
            image: (H, W, 3) RGB image of the instances; None to estimate camera motion from the boxes only.
            camera: (3, 3) homography from pixels of the previous frame to pixels of this one, if the vehicle knows
                its motion (see `warp_of_rotation`). The image is then not used for this frame.

        Raises:
            InputError: as `IouTracker.update`, or the image is not (H, W, 3) uint8.
        """
        small = None if image is None else SmallImage.of(image, instances.boxes)
        if camera is None and small is not None and self._image is not None:
            camera = image_motion(self._image, small)
        tracks = self._tracker.update(instances, timestamp_ns, image, camera=camera)
        self._image = small
        return tracks
