"""Tracks images as a perception stack receives them: one synchronous call per image, no disk, no Ray, no video."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import roadmask
from roadmask.sample_drive import SampleDrive


def images_of_my_camera() -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yields (image, capture time in nanoseconds); here rendered, in a vehicle from its driver."""
    drive = SampleDrive()
    for n in range(10):
        yield drive.render(n), n * 40_000_000


def main() -> None:
    """Prints where each confirmed thing is, how fast it moves in the image, and where lost things should be."""
    pipeline = roadmask.Pipeline(roadmask.load_segmenter("lite"), camera="front")
    pipeline.warm_up((384, 640))  # height and width, so that the first image is not late
    for image, timestamp_ns in images_of_my_camera():
        tracks = pipeline.step(image, timestamp_ns)
        confirmed = tracks[tracks.states == roadmask.TrackState.CONFIRMED]
        for track_id, box, velocity in zip(
            confirmed.track_ids, confirmed.instances.boxes, confirmed.velocities, strict=True
        ):
            print(f"track {track_id}: box {box.round()}, {velocity.round()} pixels per second")
        for track_id, box in zip(tracks.lost.track_ids, tracks.lost.boxes, strict=True):
            print(f"track {track_id} is not visible; it should be at {box.round()}")


if __name__ == "__main__":
    main()
