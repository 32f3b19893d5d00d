"""Looks at the scenes in which masks fail: what a segmenter finds there, what it misses, and an image of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.errors import InputError
from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.sample_drive.failure_scenes import FailureScene, failure_scenes
from roadmask.sample_drive.shot import take_shot
from roadmask.sample_drive.verdict import Outcome, Verdict, judge
from roadmask.sample_drive.verdict_image import WRONG, captioned, enlarged, mark_verdict
from roadmask.streaming.sinks.drawing import draw_overlay
from roadmask.tracking.tracks import Tracks

ENLARGED = 2
"""Factor by which a frame is enlarged in its image."""
SHOWN_ROWS = slice(60, 310)
"""Rows of the frame that are shown: above is sky, below is road."""
NAMES = {PEDESTRIAN: ("pedestrian", "pedestrians"), CAR: ("car", "cars")}
"""Category id -> singular and plural, of the classes that count."""


def find_failures(segmenter: Segmenter, folder: Path | str) -> Iterator[SceneResult]:
    """Segments four scenes in which masks are known to fail (night, rain, riders and a crowd), one after the other.

    The scenes are drawn by code in the street of the sample drive, with exact masks of everybody. Real images may be
    better or worse than these.

    Args:
        segmenter: the segmenter to look at.
        folder: folder for one image per scene, created if it is missing.

    Yields:
        What was found in each scene.

    Raises:
        EngineError: the segmenter failed.
        InputError: the segmenter gave no masks, or an image cannot be written.
    """
    for scene in failure_scenes():
        yield look_at_scene(scene, segmenter, Path(folder))


@dataclass(frozen=True)
class Tally:
    """The counts of one or more frames."""

    frames: int
    """Number of frames that were judged."""
    truth: dict[int, int]
    """Category id -> number of objects that count."""
    found: dict[int, int]
    """Category id -> number of these objects that were found."""
    outcomes: dict[Outcome, int]
    """Outcome -> number of predictions with it."""
    several: int
    """Number of predictions that cover most of two or more objects."""

    @classmethod
    def of(cls, judged: Sequence[tuple[Verdict, Instances]]) -> Tally:
        """Adds up verdicts, each with the true instances of its frame."""
        return cls(
            frames=len(judged),
            truth={c: sum(int((v.counts & (t.category_ids == c)).sum()) for v, t in judged) for c in NAMES},
            found={c: sum(int((v.counts & v.found & (t.category_ids == c)).sum()) for v, t in judged) for c in NAMES},
            outcomes={outcome: sum(v.number(outcome) for v, _ in judged) for outcome in Outcome},
            several=sum(int(v.several.sum()) for v, _ in judged),
        )

    @property
    def missed(self) -> int:
        """Number of objects that count and were not found."""
        return sum(self.truth.values()) - sum(self.found.values())

    @property
    def wrong(self) -> dict[str, int]:
        """What is wrong with a prediction -> number of predictions with which it is."""
        return {outcome.value: self.outcomes[outcome] for outcome in WRONG}

    def found_of(self, category_id: int) -> str:
        """Returns how many objects of a class were found, such as `7 of 12`."""
        return f"{self.found[category_id]} of {self.truth[category_id]}"


@dataclass(frozen=True)
class SceneResult:
    """What a segmenter found in one scene."""

    scene: FailureScene
    """The scene."""
    path: Path
    """The image that was written."""
    shown: Tally
    """Counts of the one frame that the image shows."""
    whole: Tally
    """Counts of several frames of the scene."""
    dry_shown: Tally | None
    """Counts of the frame of the image without its weather; None if the scene has none."""
    dry_whole: Tally | None
    """Counts of several frames without their weather; None if the scene has none."""

    def tallies(self, *, whole: bool) -> dict[str, Tally]:
        """Returns the counts of the scene by name and, if it has weather, those of the same frames without it.

        Args:
            whole: return the counts of several frames, not those of the one in the image.
        """
        tallies = {self.scene.name: self.whole if whole else self.shown}
        dry = self.dry_whole if whole else self.dry_shown
        return tallies if dry is None else tallies | {f"  the same {self.scene.without}": dry}


def look_at_scene(scene: FailureScene, segmenter: Segmenter, folder: Path) -> SceneResult:
    """Segments the frames of one scene and writes an image of the frame that it shows; see `find_failures`."""
    drive = scene.drive()
    judged: dict[int, tuple[Verdict, Instances]] = {}
    dry: dict[int, tuple[Verdict, Instances]] = {}
    shown_image: Image | None = None
    for index in sorted({scene.shown, *scene.frames}):
        shot = take_shot(drive, index)
        image, truth = scene.image(shot), shot.truth
        (predicted,) = segmenter([image])
        judged[index] = judge(predicted, truth), truth.instances
        if scene.weather is not None:
            dry[index] = judge(segmenter([shot.image])[0], truth), truth.instances
        if index == scene.shown:
            shown_image = _drawn(image, predicted, judged[index][0], truth.instances)
    assert shown_image is not None  # noqa: S101 - the frame that is shown is among those that were segmented
    shown, whole = Tally.of([judged[scene.shown]]), Tally.of([judged[i] for i in scene.frames])
    dry_shown = Tally.of([dry[scene.shown]]) if dry else None
    dry_whole = Tally.of([dry[i] for i in scene.frames]) if dry else None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scene.name}.png"
    title, lines = caption(scene, shown, dry_shown)
    if not cv2.imwrite(str(path), captioned(shown_image, title, lines)[..., ::-1]):
        raise InputError(f"cannot write the image {path}: check the free space and the permissions of its folder.")
    return SceneResult(scene, path, shown, whole, dry_shown, dry_whole)


def _drawn(image: Image, predicted: Instances, verdict: Verdict, truth: Instances) -> Image:
    """Returns the middle of the frame, enlarged: what was found as overlays draw it, what was not outlined."""
    height, width = image.shape[:2]
    size = width * ENLARGED, height * ENLARGED
    large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    masks = enlarged(predicted, ENLARGED)
    right = masks[np.array([outcome is Outcome.FOUND for outcome in verdict.outcomes], bool)]
    numbered = Tracks.from_ids(right, np.arange(1, len(right) + 1))  # so that each has a colour of its own
    canvas = draw_overlay(large, numbered, {c: name for c, (name, _) in NAMES.items()})
    mark_verdict(canvas, verdict, masks, enlarged(truth, ENLARGED))
    return canvas[SHOWN_ROWS.start * ENLARGED : SHOWN_ROWS.stop * ENLARGED]


def caption(scene: FailureScene, shown: Tally, dry: Tally | None) -> tuple[str, list[str]]:
    """Returns the title below the image of a scene, and the lines below the title.

    Args:
        scene: the scene.
        shown: counts of the frame in the image.
        dry: counts of the same frame without its weather; None if the scene has none.
    """

    def found(tally: Tally) -> str:
        cars = f" and {tally.found_of(CAR)} cars" if tally.truth[CAR] else ""
        return f"{tally.found_of(PEDESTRIAN)} {scene.people}{cars}"

    lines = [] if dry is None else [f"The same frame {scene.without}: {found(dry)}."]
    parts = [f"{count} {what}" for what, count in shown.wrong.items() if count]
    if parts:
        lines.append(f"Reported wrongly: {', '.join(parts)}.")
    if shown.several:
        lines.append(f"Masks over two or more people or cars at once: {shown.several}.")
    if scene.people == "riders":
        lines.append("A rider is to be found as a pedestrian. Bicycles are not asked for, as by default.")
    return f"{scene.name.capitalize()}: found {found(shown)}", lines
