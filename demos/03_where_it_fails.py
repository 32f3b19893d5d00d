"""Shows where the model fails: at night, in rain, with riders and in a crowd, each drawn and compared with its truth.

    make failures

Four scenes in the street of the sample drive, drawn by our own code with exact masks of everybody, are given to the
default engine with lite. An image of each goes to out/failures, and a table says what was found and what was not. Real
images may be better or worse than these.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from roadmask.engines import RoadmaskError, load_segmenter
from roadmask.engines.classes import CAR, PEDESTRIAN
from roadmask.engines.instances import Instances
from roadmask.engines.segmenter import Image, Segmenter
from roadmask.sample_drive.failure_scenes import FailureScene, failure_scenes
from roadmask.sample_drive.shot import take_shot
from roadmask.sample_drive.verdict import Outcome, Verdict, judge
from roadmask.sample_drive.verdict_image import WRONG, captioned, enlarged, mark_verdict
from roadmask.streaming.sinks.drawing import draw_overlay
from roadmask.tracking.tracks import LostTracks, Tracks, TrackState

OUT = Path("out/failures")
SCORE = 0.5
ENLARGED = 2
SHOWN_ROWS = slice(60, 310)
"""Of the frame: above is sky, below is road."""
NAMES = {PEDESTRIAN: ("pedestrian", "pedestrians"), CAR: ("car", "cars")}


def main() -> None:
    """Runs the demo into out/failures."""
    console = Console()
    # The same on every machine, as are the images.
    segmenter = load_segmenter("lite", engine="openvino", precision="fp32", score_min=SCORE)
    results = []
    for scene in failure_scenes():
        with console.status(f"Drawing and looking at {scene.name}"):
            results.append(run_scene(scene, segmenter, OUT))
    console.print(table("One frame of each scene, the one in its image", results, whole=False))
    console.print(table("Several frames of each scene", results, whole=True))
    console.print(
        "An object counts from 20 px, and is found by a mask of its class at IoU 0.5. Found again: a mask on what "
        "another has found. Too rough: on something nothing has found, but below IoU 0.5. Over several: a mask, right "
        "or wrong, that covers most of two or more. All is drawn by code: real images may be better or worse."
    )
    for result in results:
        console.print(f"{result.scene.name:>8}  {result.path}")


@dataclass(frozen=True)
class Tally:
    """What came of one or more frames."""

    frames: int
    truth: dict[int, int]
    """Class -> objects that count."""
    found: dict[int, int]
    """Class -> of these, found."""
    outcomes: dict[Outcome, int]
    """What the predictions came to."""
    several: int
    """Predictions that cover most of two objects or more."""

    @classmethod
    def of(cls, judged: Sequence[tuple[Verdict, Instances]]) -> Tally:
        """Adds up verdicts, each with its frame's truth."""
        return cls(
            frames=len(judged),
            truth={c: sum(int((v.counts & (t.category_ids == c)).sum()) for v, t in judged) for c in NAMES},
            found={c: sum(int((v.counts & v.found & (t.category_ids == c)).sum()) for v, t in judged) for c in NAMES},
            outcomes={outcome: sum(v.number(outcome) for v, _ in judged) for outcome in Outcome},
            several=sum(int(v.several.sum()) for v, _ in judged),
        )

    @property
    def missed(self) -> int:
        """Objects that count and were not found."""
        return sum(self.truth.values()) - sum(self.found.values())

    def found_of(self, category: int) -> str:
        """Returns `7 of 12`."""
        return f"{self.found[category]} of {self.truth[category]}"


@dataclass(frozen=True)
class SceneResult:
    """A scene, looked at; `dry` is the same without its weather, None where it has none."""

    scene: FailureScene
    path: Path
    shown: Tally
    whole: Tally
    dry_shown: Tally | None
    dry_whole: Tally | None


def run_scene(scene: FailureScene, segmenter: Segmenter, folder: Path) -> SceneResult:
    """Looks at a scene's frames, and writes an image of the one that is to be shown.

    Args:
        scene: what to draw.
        segmenter: what to look with.
        folder: for the image, made where it is missing.
    """
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
            shown_image = drawn(image, predicted, judged[index][0], truth.instances)
    assert shown_image is not None  # noqa: S101 - the frame that is shown is always looked at
    shown, whole = Tally.of([judged[scene.shown]]), Tally.of([judged[i] for i in scene.frames])
    dry_shown = Tally.of([dry[scene.shown]]) if dry else None
    dry_whole = Tally.of([dry[i] for i in scene.frames]) if dry else None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scene.name}.png"
    title, lines = caption(scene, shown, dry_shown)
    if not cv2.imwrite(str(path), captioned(shown_image, title, lines)[..., ::-1]):
        raise OSError(f"cannot write {path}: is the disk full?")
    return SceneResult(scene, path, shown, whole, dry_shown, dry_whole)


def drawn(image: Image, predicted: Instances, verdict: Verdict, truth: Instances) -> Image:
    """Returns the middle of the frame enlarged: what was found as the overlay draws it, and what was not outlined."""
    height, width = image.shape[:2]
    size = width * ENLARGED, height * ENLARGED
    large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    masks = enlarged(predicted, ENLARGED)
    right = np.array([outcome is Outcome.FOUND for outcome in verdict.outcomes], bool)
    canvas = draw_overlay(large, _as_tracks(masks[right]), {c: name for c, (name, _) in NAMES.items()})
    mark_verdict(canvas, verdict, masks, enlarged(truth, ENLARGED))
    return canvas[SHOWN_ROWS.start * ENLARGED : SHOWN_ROWS.stop * ENLARGED]


def _as_tracks(instances: Instances) -> Tracks:
    """Numbers instances, so that the overlay gives each a colour."""
    count, none = len(instances), np.zeros(0, np.int64)
    return Tracks(
        instances,
        np.arange(1, count + 1, dtype=np.int64),
        np.full(count, TrackState.CONFIRMED, np.uint8),
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.float32),
        LostTracks(none, none, np.zeros((0, 4), np.float32), none),
    )


def caption(scene: FailureScene, shown: Tally, dry: Tally | None) -> tuple[str, list[str]]:
    """Returns the title and the lines below an image."""

    def found(tally: Tally) -> str:
        cars = f" and {tally.found_of(CAR)} cars" if tally.truth[CAR] else ""
        return f"{tally.found_of(PEDESTRIAN)} {scene.people}{cars}"

    lines = [] if dry is None else [f"The same frame {scene.without}: {found(dry)}."]
    parts = [f"{shown.outcomes[outcome]} {outcome.value}" for outcome in WRONG if shown.outcomes[outcome]]
    if parts:
        lines.append(f"Reported wrongly: {', '.join(parts)}.")
    if shown.several:
        lines.append(f"Masks over two or more people or cars at once: {shown.several}.")
    if scene.people == "riders":
        lines.append("A rider is to be found as a pedestrian. Bicycles are not asked for, as by default.")
    return f"{scene.name.capitalize()}: found {found(shown)}", lines


def table(title: str, results: Iterable[SceneResult], *, whole: bool) -> Table:
    """Returns a row for each scene, and one for the same by day or dry where it has weather."""
    headings = (
        "pedestrians found",
        "cars found",
        "missed",
        "found again",
        "too rough",
        "mostly on nothing",
        "over several",
    )
    made = Table(title=title, title_justify="left")
    made.add_column("scene", no_wrap=True)
    made.add_column("frames", justify="right")
    for heading in headings:
        made.add_column(heading, justify="right")
    for result in results:
        rows = [(result.scene.name, result.whole if whole else result.shown)]
        dry = result.dry_whole if whole else result.dry_shown
        if dry is not None:
            rows.append((f"  the same {result.scene.without}", dry))
        for name, tally in rows:
            wrong = (str(tally.outcomes[outcome]) for outcome in WRONG)
            made.add_row(
                name,
                str(tally.frames),
                tally.found_of(PEDESTRIAN),
                tally.found_of(CAR),
                str(tally.missed),
                *wrong,
                str(tally.several),
            )
    return made


if __name__ == "__main__":
    try:
        main()
    except RoadmaskError as error:
        sys.exit(f"error: {error}")
