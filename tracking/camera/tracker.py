"""A tracker that knows how the camera moved: by the vehicle's word, else by the image, else by the boxes alone."""

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
    """All that a `CameraTracker` knows at one moment."""

    tracker: IouTrackerState
    """Of the tracker inside."""
    image: SmallImage | None
    """The last image of the epoch, if it came with one."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns it as named arrays of plain numbers."""
        image = {} if self.image is None else self.image.to_arrays()
        return self.tracker.to_arrays() | {_IMAGE + name: values for name, values in image.items()}


class CameraTracker:
    """Gives an `IouTracker` the camera's motion between frames, told from the images of the background.

    A frame whose motion the images do not tell, or that comes without one, is followed as `IouTracker` alone would.

    Args:
        tracker: its own.
    """

    def __init__(self, tracker: IouTracker | None = None) -> None:
        self._tracker = tracker if tracker is not None else IouTracker()
        self._image: SmallImage | None = None

    @property
    def next_id(self) -> int:
        """Id that the next new track will get."""
        return self._tracker.next_id

    def start_epoch(self) -> None:
        """Ends all tracks and forgets the last image. Ids go on."""
        self._tracker.start_epoch()
        self._image = None

    def state(self) -> CameraTrackerState:
        """Returns what it knows now; cheap enough to be taken after every frame."""
        return CameraTrackerState(self._tracker.state(), self._image)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Goes on from a state; see `Tracker.restore`.

        Raises:
            InputError: the arrays are not such a state.
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
        """Takes the instances of the next frame; see `IouTracker.update`.

        Args:
            instances: what a segmenter found.
            timestamp_ns: capture time; must be later than that of the frame before.
            image: (H, W, 3) RGB, the image they were found in, if it is to be looked at.
            camera: (3, 3) homography from pixels of the frame before to pixels of this one, where the vehicle knows
                how it moved (see `warp_of_rotation`); the image is then not asked.

        Raises:
            InputError: as `IouTracker.update`, or the image is not (H, W, 3) uint8.
        """
        small = None if image is None else SmallImage.of(image, instances.boxes)
        if camera is None and small is not None and self._image is not None:
            camera = image_motion(self._image, small)
        tracks = self._tracker.update(instances, timestamp_ns, image, camera=camera)
        self._image = small
        return tracks
