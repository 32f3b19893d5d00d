"""A tracker that knows how the camera moved: by the vehicle's word, else by the picture, else by the boxes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadmask.engines.instances import Instances
from roadmask.tracking.iou_tracker import IouTracker
from roadmask.tracking.iou_tracker_state import IouTrackerState
from roadmask.tracking.motion import Floats
from roadmask.tracking.picture_motion import SmallPicture, picture_motion
from roadmask.tracking.tracks import Tracks

_PICTURE = "picture/"


@dataclass(frozen=True, eq=False)
class CameraTrackerState:
    """All that a `CameraTracker` knows at one moment."""

    tracker: IouTrackerState
    """Of the tracker inside."""
    picture: SmallPicture | None
    """The last picture of the epoch, if it came with one."""

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns it as named arrays of plain numbers."""
        picture = {} if self.picture is None else self.picture.to_arrays()
        return self.tracker.to_arrays() | {_PICTURE + name: values for name, values in picture.items()}


class CameraTracker:
    """Gives an `IouTracker` the camera's motion between frames, told from the pictures of the background.

    A frame whose motion the pictures do not tell, or that comes without one, is followed as `IouTracker` alone would.

    Args:
        tracker: its own.
    """

    def __init__(self, tracker: IouTracker | None = None) -> None:
        self._tracker = tracker if tracker is not None else IouTracker()
        self._picture: SmallPicture | None = None

    @property
    def next_id(self) -> int:
        """Id that the next new track will get."""
        return self._tracker.next_id

    def start_epoch(self) -> None:
        """Ends all tracks and forgets the last picture. Ids go on."""
        self._tracker.start_epoch()
        self._picture = None

    def state(self) -> CameraTrackerState:
        """Returns what it knows now; cheap enough to be taken after every frame."""
        return CameraTrackerState(self._tracker.state(), self._picture)

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Goes on from a state; see `Tracker.restore`.

        Raises:
            InputError: the arrays are not such a state.
        """
        picture = {name.removeprefix(_PICTURE): values for name, values in arrays.items() if name.startswith(_PICTURE)}
        remembered = SmallPicture.from_arrays(picture) if picture else None
        self._tracker.restore({name: values for name, values in arrays.items() if not name.startswith(_PICTURE)})
        self._picture = remembered

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
            image: (H, W, 3) RGB, the picture they were found in, if it is to be looked at.
            camera: (3, 3) homography from pixels of the frame before to pixels of this one, where the vehicle knows
                how it moved (see `warp_of_rotation`); the picture is then not asked.

        Raises:
            InputError: as `IouTracker.update`, or the picture is not (H, W, 3) uint8.
        """
        picture = None if image is None else SmallPicture.of(image, instances.boxes)
        if camera is None and picture is not None and self._picture is not None:
            camera = picture_motion(self._picture, picture)
        tracks = self._tracker.update(instances, timestamp_ns, image, camera=camera)
        self._picture = picture
        return tracks
