"""What knowing the camera's motion is worth: the same scenes, shaken by known amounts and tracked in four ways.

`none` assumes that the camera stands still, `boxes` is `IouTracker` without images or poses, `image` looks at the
background, and `pose` gets the shake, as from a vehicle that measures its own turns (but not its speed).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roadmask.engines import Segmenter
from roadmask.engines.images import read_image
from roadmask.engines.instances import Instances
from roadmask.evaluation.speed.timing import median
from roadmask.sample_drive import SampleDrive, SampleDriveConfig
from roadmask.streaming.formats.kitti import read_kitti_mots
from roadmask.tracking import CameraTracker, IouTracker, IouTrackerConfig
from roadmask.tracking.camera.image_motion import SmallImage, image_motion
from roadmask.tracking.iou.motion import Floats, centres, warped

VARIANTS = ("none", "boxes", "image", "pose")
SHAKES = (0.0, 0.02, 0.05, 0.1)
"""Largest shift from the still image, as a share of its width; half of that up and down."""
TURN = np.deg2rad(20)
"""Largest turn, for each share of 1: a shake of a tenth turns by up to two degrees."""
PERIOD_NS = 100_000_000

Image = NDArray[np.uint8]
Ids = list[NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Scene:
    """What a camera at 10 frames per second saw."""

    name: str
    """Name of the data; scenes of one name are counted together."""
    instances: list[Instances]
    """Instances of each frame."""
    images: list[Image] | None = None
    """Image of each frame; None if there are none."""
    true_ids: Ids | None = None
    """True ids of each frame's instances; None if they are unknown."""


def sample_drive_scene(frames: int = 100) -> Scene:
    """Returns the sample drive with its truth."""
    drive = SampleDrive(SampleDriveConfig(fps=10))
    images, truths = zip(*(drive.frame(n) for n in range(frames)), strict=True)
    return Scene(
        "sample_drive", [truth.instances for truth in truths], list(images), [truth.object_ids for truth in truths]
    )


def image_scene(folder: Path, segmenter: Segmenter) -> Scene:
    """Returns a folder of images and what a segmenter finds in them; nobody knows the true ids."""
    images = [read_image(path) for path in sorted(folder.glob("*.jpg"))]
    return Scene(folder.name, [segmenter([image])[0] for image in images], images)


def mots_scenes(folder: Path) -> list[Scene]:
    """Returns the sequences of KITTI MOTS' ground truth; it comes without images."""
    scenes = []
    for path in sorted(folder.glob("*.txt")):
        frames = read_kitti_mots(path)
        ids = [np.array([int(row[1]) for row in frame.rows], np.int64) for frame in frames]
        scenes.append(Scene(folder.name, [frame.instances for frame in frames], None, ids))
    return scenes


def benchmark_camera_motion(
    scenes: Sequence[Scene], shakes: Iterable[float] = SHAKES, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Follows every scene at every shake in every way it allows.

    Returns:
        Records of data, shake, variant, error_px (median over frames of how far the image's warp misses, averaged
        over the image; for `image` alone), hota (where the truth is known; all instances are given, so it is what
        ids are worth), switches (from true ids; where unknown, from the ids that `boxes` gives to the still scene),
        tracks, track_length (sightings of a track, on average) and ms (median of an update).
    """
    records = []
    for name in dict.fromkeys(scene.name for scene in scenes):
        own = [scene for scene in scenes if scene.name == name]
        known = [
            scene.true_ids or _follow(scene, None, [np.eye(3)] * len(scene.instances), "boxes")[0] for scene in own
        ]
        own_motion = [_motions(scene.images) for scene in own]
        for share in shakes:
            shaken = [shake(scene, share, seed + n) for n, scene in enumerate(own)]
            for variant in VARIANTS:
                if variant == "image" and own[0].images is None:
                    continue
                ids: Ids = []
                truth: Ids = []
                times: list[float] = []
                errors: list[float] = []
                for (moved, kept, camera), true_ids, motions in zip(shaken, known, own_motion, strict=True):
                    given, taken = _follow(moved, moved.images, _between(camera), variant)
                    offset = max([0, *(int(each.max(initial=0)) for each in ids)])
                    ids += [np.where(each > 0, each + offset, 0) for each in given]
                    base = max([0, *(int(each.max(initial=0)) for each in truth)]) + 1
                    truth += [each[rows] + base for each, rows in zip(true_ids, kept, strict=True)]
                    times += taken
                    if variant == "image":
                        errors += _errors(moved, camera, motions)
                records.append(
                    {
                        "data": name,
                        "shake": share,
                        "variant": variant,
                        "error_px": median(errors) if errors else None,
                        "hota": None if own[0].true_ids is None else round(hota(truth, ids), 2),
                        "switches": switches(truth, ids),
                        **_lengths(ids),
                        "ms": median(times),
                    }
                )
    return records


def shake(scene: Scene, share: float, seed: int) -> tuple[Scene, list[NDArray[np.intp]], list[Floats]]:
    """Shakes a scene, each frame by itself, as no road does: the velocities of boxes foretell nothing of it.

    Returns:
        The scene; the instances that are left in each frame, whose centre is still in the image; and for each
        frame the (3, 3) warp from the still image.
    """
    rng = np.random.default_rng(seed)
    images: list[Image] = []
    instances, kept, cameras = [], [], []
    for n, seen in enumerate(scene.instances):
        height, width = seen.image_size
        shift = rng.uniform(-1, 1, 2) * (share * width, share * width / 2)
        turn = rng.uniform(-1, 1) * share * TURN
        cosine, sine, middle = np.cos(turn), np.sin(turn), np.array([width / 2, height / 2])
        camera = np.eye(3)
        camera[:2, :2] = [[cosine, -sine], [sine, cosine]]
        camera[:2, 2] = middle + shift - camera[:2, :2] @ middle
        boxes = warped(seen.boxes.astype(np.float64), camera)
        offset = centres(boxes) - centres(seen.boxes.astype(np.float64))
        masks = None if seen.masks is None else seen.masks.translated(offset)
        middle_of = centres(boxes)
        inside = np.flatnonzero(((middle_of >= 0) & (middle_of < (width, height))).all(axis=1))
        moved = Instances(seen.image_size, boxes.astype(np.float32), seen.scores, seen.category_ids, masks)
        instances.append(moved[inside])
        kept.append(inside)
        cameras.append(camera)
        if scene.images is not None:
            seen_now = cv2.warpAffine(scene.images[n], camera[:2], (width, height), borderMode=cv2.BORDER_REFLECT_101)
            images.append(seen_now.astype(np.uint8))
    return replace(scene, instances=instances, images=images or None), kept, cameras


def hota(true_ids: Ids, given_ids: Ids) -> float:
    """Returns HOTA in per cent where instances are known to be the same, so no box is matched (Luiten et al. 2021)."""
    together: Counter[tuple[int, int]] = Counter()
    for truth, given in zip(true_ids, given_ids, strict=True):
        together.update(zip(truth.tolist(), given.tolist(), strict=True))
    of_truth: Counter[int] = Counter()
    of_given: Counter[int] = Counter()
    for (true, given_id), count in together.items():
        of_truth[true] += count
        of_given[given_id] += count
    # An instance without a track is a miss; false positives there are none.
    matched = {pair: count for pair, count in together.items() if pair[1] > 0}
    association = sum(
        count * count / (of_truth[true] + of_given[given_id] - count) for (true, given_id), count in matched.items()
    )
    return 100 * float(np.sqrt(association / max(1, sum(together.values()))))


def switches(true_ids: Ids, given_ids: Ids) -> int:
    """Returns how often a true id is given another id than when it was last given one."""
    last: dict[int, int] = {}
    changes = 0
    for truth, given in zip(true_ids, given_ids, strict=True):
        for true, given_id in zip(truth.tolist(), given.tolist(), strict=True):
            if given_id:
                changes += last.setdefault(true, given_id) != given_id
                last[true] = given_id
    return changes


def _follow(
    scene: Scene, images: list[Image] | None, motions: Sequence[Floats | None], variant: str
) -> tuple[Ids, list[float]]:
    """Returns the ids of each frame's instances, and milliseconds of each update."""
    plain = IouTracker(IouTrackerConfig(camera_share=1) if variant == "none" else None)
    looking = CameraTracker()
    ids, times = [], []
    for n, instances in enumerate(scene.instances):
        if instances.masks is not None:
            instances.masks.to_rle()  # encoding is not what is timed
        start = time.perf_counter()
        if variant == "image" and images is not None:
            tracks = looking.update(instances, n * PERIOD_NS, images[n])
        else:
            tracks = plain.update(instances, n * PERIOD_NS, camera=motions[n] if variant == "pose" else None)
        times.append((time.perf_counter() - start) * 1e3)
        ids.append(tracks.track_ids)
    return ids, times


def _between(cameras: list[Floats]) -> list[Floats | None]:
    """Returns the warp from each frame before to each frame."""
    steps: list[Floats | None] = [None]
    for before, now in pairwise(cameras):
        steps.append(now @ np.linalg.inv(before))
    return steps


def _motions(images: list[Image] | None) -> list[Floats | None]:
    """Returns how the background moved up to each image, as the images tell."""
    if images is None:
        return []
    small = [SmallImage.of(image, np.zeros((0, 4), np.float32)) for image in images]
    return [None, *(image_motion(before, now) for before, now in pairwise(small))]


def _errors(scene: Scene, cameras: list[Floats], own_motion: list[Floats | None]) -> list[float]:
    """Returns how far the image's warp misses the shake and the still images' own motion, pixels, by frame."""
    height, width = scene.instances[0].image_size
    x, y = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 5))
    grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    errors = []
    for n, found in enumerate(_motions(scene.images)):
        own = own_motion[n]
        if n == 0 or own is None:
            continue
        true = cameras[n] @ own @ np.linalg.inv(cameras[n - 1])
        missed = ((np.eye(3) if found is None else found) - true) @ grid
        errors.append(float(np.hypot(missed[0], missed[1]).mean()))
    return errors


def _lengths(ids: Ids) -> dict[str, Any]:
    counts = Counter(track for each in ids for track in each.tolist() if track)
    return {"tracks": len(counts), "track_length": round(sum(counts.values()) / max(1, len(counts)), 2)}
