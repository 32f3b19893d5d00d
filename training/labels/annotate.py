"""Annotates recordings without a click. The library call behind `roadmask annotate`.

A recording is segmented and tracked into a store in `drives/` of the label set, as `roadmask run` does it, so that a
killed or interrupted run continues where it was. The finished store becomes labels in one step.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from roadmask.engines import Segmenter
from roadmask.engines.errors import InputError
from roadmask.streaming.camera_names import camera_name
from roadmask.streaming.config import RunConfig
from roadmask.streaming.formats.export.source_images import find_specs
from roadmask.streaming.recording.drive import record_drive
from roadmask.streaming.recording.jobs import CameraJob, camera_jobs
from roadmask.streaming.recording.result import ProgressCallback
from roadmask.streaming.segmentation import build_segmenter
from roadmask.streaming.sources.arguments import scheme_of
from roadmask.streaming.store import CameraReader, Drive, open_drive
from roadmask.training.labels.description import UNKNOWN_LICENCE, LabelSource
from roadmask.training.labels.doubts import DOUBTFUL, ranked
from roadmask.training.labels.proposing import Proposed, propose
from roadmask.training.labels.records import Label, now
from roadmask.training.labels.writing import LabelWriter

DRIVES_FOLDER = "drives"


@dataclass(frozen=True)
class DoubtfulObject:
    """An object that a person should look at."""

    drive: str
    object: int
    """Id of the object in the label set."""
    class_name: str
    rank: float
    """How soon, 0 to 1."""
    frame: int
    """Frame index of its most doubtful sighting."""
    why: tuple[str, ...]
    """Signs of doubt there, the strongest first."""


@dataclass(frozen=True)
class AnnotatedDrive:
    """The outcome of one recording."""

    drive: str
    """Its name in the label set."""
    frames: int = 0
    """Images that were added."""
    objects: Mapping[str, int] = field(default_factory=dict)
    """Class name -> number of objects."""
    labels: int = 0
    """Labels that were added."""
    doubtful: int = 0
    """Those of them whose doubt is 0.5 or more."""
    joined: int = 0
    """Tracks that became a part of an earlier one."""
    ranking: tuple[DoubtfulObject, ...] = ()
    """Doubtful objects, the most doubtful first."""
    annotated_before: bool = False
    """Whether it was in the label set already, so that nothing was done."""
    interrupted: bool = False
    """Whether the run was stopped before the recording ended: nothing was added yet."""
    problem: str | None = None
    """What went wrong without ending the run; None if nothing did."""


def annotate(
    sources: Sequence[str],
    out: Path,
    config: RunConfig | None = None,
    *,
    licence: str = UNKNOWN_LICENCE,
    every: int = 1,
    build: Callable[[], Segmenter] | None = None,
    on_progress: ProgressCallback = lambda _: None,
    on_drive: Callable[[AnnotatedDrive], None] = lambda _: None,
    stop: threading.Event | None = None,
    command: str = "",
) -> list[AnnotatedDrive]:
    """Adds proposed labels of recordings to a label set.

    What is in the label set stays: a recording that was annotated before is left as it is, with everything that was
    decided of it.

    Args:
        sources: stores, and sources as `roadmask run` takes them.
        out: the label set; made if there is none.
        config: settings of engine and trackers; the defaults if None.
        licence: licence of the images.
        every: label each n-th frame; all frames are tracked.
        build: builds the segmenter; the one that `config` asks for if None.
        on_progress: called with the progress of each recording.
        on_drive: called with the outcome of each recording.
        stop: set it to end early; the same call continues.
        command: the command line to keep in the stores' provenance.

    Raises:
        InputError: a source cannot be read, a name is used twice, or the label set is broken.
        EngineError: the segmenter cannot be built.
        StoreError: a store cannot be read, or the label set cannot be written.
    """
    if every < 1:
        raise InputError(f"expected every as 1 or more, got {every}: 1 labels each frame.")
    config = config or RunConfig()
    stores, jobs = _sorted_sources(sources)
    build = cache(build or partial(build_segmenter, config.engine))  # one engine for all recordings
    outcomes = []
    with LabelWriter(out) as writer:
        for name, camera, drive in stores:
            specs = find_specs(_described(drive, camera.name), (Path(), drive.path.parent)) or ()
            outcomes.append(_add(writer, name, camera, drive, specs, licence, every))
            on_drive(outcomes[-1])
        for job in jobs:
            if stop is not None and stop.is_set():
                outcomes.append(AnnotatedDrive(job.camera, interrupted=True))
                break
            outcomes.append(
                AnnotatedDrive(job.camera, annotated_before=True)
                if _is_there(writer, job.camera)
                else _record(writer, job, config, licence, every, build, on_progress, stop, command)
            )
            on_drive(outcomes[-1])
    return outcomes


def _record(
    writer: LabelWriter,
    job: CameraJob,
    config: RunConfig,
    licence: str,
    every: int,
    build: Callable[[], Segmenter],
    on_progress: ProgressCallback,
    stop: threading.Event | None,
    command: str,
) -> AnnotatedDrive:
    store = writer.folder / DRIVES_FOLDER / f"{job.camera}.zarr"
    store.parent.mkdir(exist_ok=True)
    result = record_drive(
        [job], store, config, build=build, on_progress=on_progress, stop=stop, command=command, resume=True
    )
    if result.interrupted:
        return AnnotatedDrive(job.camera, interrupted=True)
    drive = open_drive(store)
    outcome = _add(writer, job.camera, drive[job.camera], drive, job.specs, licence, every)
    [camera] = result.cameras
    failed = camera.ledger.captured - camera.ledger.stored
    problem = camera.problem or (f"{failed} frames failed and have no labels" if failed else None)
    return replace(outcome, problem=problem)


def _add(
    writer: LabelWriter,
    name: str,
    camera: CameraReader,
    drive: Drive,
    specs: Sequence[str],
    licence: str,
    every: int,
) -> AnnotatedDrive:
    if _is_there(writer, name):
        return AnnotatedDrive(name, annotated_before=True)
    engine = drive.attributes.get("engine", {})
    model = f"model:{engine.get('weights_sha256') or engine.get('weights') or 'unknown'}"
    proposed = propose(camera, name, model, now(), every)
    source = LabelSource(
        name,
        licence,
        tuple(_relative(spec, writer.folder) for spec in specs),
        _described(drive, camera.name),
        _time_0(camera),
        model,
    )
    writer.add_classes({class_name: number for number, class_name in camera.class_names.items()})
    writer.add([*proposed.images, *proposed.labels], source)
    return _outcome(name, proposed)


def _outcome(name: str, proposed: Proposed) -> AnnotatedDrive:
    worst: dict[int, Label] = {}
    for label in proposed.labels:
        if label.object not in worst or label.doubt > worst[label.object].doubt:
            worst[label.object] = label
    ranking = [
        DoubtfulObject(name, number, each.class_name, proposed.doubts[number].rank, each.frame, each.why)
        for number in ranked(proposed.doubts)
        if (each := worst.get(number)) is not None and each.doubt >= DOUBTFUL
    ]
    return AnnotatedDrive(
        name,
        len(proposed.images),
        dict(Counter(proposed.class_of[number] for number in worst)),
        len(proposed.labels),
        sum(label.doubt >= DOUBTFUL for label in proposed.labels),
        proposed.joined,
        tuple(ranking),
    )


def _sorted_sources(sources: Sequence[str]) -> tuple[list[tuple[str, CameraReader, Drive]], list[CameraJob]]:
    """Tells stores from recordings, and names the drives of both."""
    stores, others = [], []
    for text in sources:
        name, equals, rest = text.partition("=")
        path = Path(rest if equals and not Path(text).exists() else text)
        if not (path / "zarr.json").is_file():
            others.append(text)
            continue
        drive = open_drive(path)
        for camera in drive.values():
            given = name if path != Path(text) else camera_name(path.resolve().stem)
            stores.append((given if len(drive) == 1 else f"{given}-{camera.name}", camera, drive))
        if not len(drive):
            raise InputError(f"expected a camera in {path}, found none: nothing was committed to it.")
    jobs = camera_jobs(others) if others or not stores else []
    names = Counter([*(name for name, _, _ in stores), *(job.camera for job in jobs)])
    if twice := [name for name, count in names.items() if count > 1]:
        raise InputError(f"two sources would both be the drive {twice[0]!r}: name one of them, as in NAME=SOURCE.")
    return stores, jobs


def _is_there(writer: LabelWriter, drive: str) -> bool:
    return any(name == drive for name, _ in writer.labels.images)


def _described(drive: Drive, camera: str) -> Mapping[str, object]:
    described: Mapping[str, object] = drive.attributes["sources"].get(camera, {})
    return described


def _time_0(camera: CameraReader) -> str | None:
    """Returns the wall clock of time 0 of a camera's timestamps."""
    if camera.epochs and camera.epochs[0].info.clock == "unix":
        return "1970-01-01T00:00:00+00:00"
    return None if camera.recording_start is None else camera.recording_start.isoformat()


def _relative(spec: str, folder: Path) -> str:
    return spec if scheme_of(spec) is not None else os.path.relpath(spec, folder)
