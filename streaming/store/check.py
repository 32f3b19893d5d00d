"""Checks a store for damage.

Everything is stored twice on purpose: id maps and areas follow from run lengths, offsets from counts, the ledger from
frames. The check reads every committed byte and compares the two. Files also carry checksums, so that a flipped bit is
found even where both sides would still agree.
"""

from __future__ import annotations

import json
from pathlib import Path

from roadmask.engines.errors import LedgerError, StoreCorruptError
from roadmask.engines.files import PARTIAL
from roadmask.streaming.store.camera_reader import CameraReader
from roadmask.streaming.store.check_epoch import EpochCheck
from roadmask.streaming.store.check_report import CheckReport, Problem
from roadmask.streaming.store.consolidated import outdated_metadata
from roadmask.streaming.store.drive_reader import Drive, open_drive
from roadmask.streaming.store.files import current_writer
from roadmask.streaming.store.layout import CAPTURED, METADATA, PROVENANCE


def check_drive(path: Path | str) -> CheckReport:
    """Checks that run lengths, id maps, areas, offsets, ids and ledger agree.

    Memory: one shard of id maps, and everything else of one epoch, some hundred bytes for each instance. Damage is
    reported and not raised.

    Raises:
        StoreError: there is nothing at the path, or no store.
        StoreSchemaError: the store has another schema version.
    """
    path = Path(path)
    report = CheckReport(path)
    try:
        drive = open_drive(path)
    except StoreCorruptError as error:
        report.problems.append(Problem(str(error), path=Path(METADATA)))
        return report
    _check_folders(drive, report)
    finished = _was_closed(drive)
    report.writer = current_writer(path)
    report.interrupted = not finished and report.writer is None
    report.resumable = report.interrupted and not _is_live(drive)
    if finished:
        _check_cameras(drive, report)
    for name in drive:
        try:
            camera = drive[name]
        except StoreCorruptError as error:
            report.add(Problem(str(error), name, path=Path(name, METADATA)))
            continue
        report.cameras += 1
        report.frames += len(camera)
        _check_ledger(camera, report, finished=finished)
        last_index = -1
        for epoch in camera.epochs:
            report.instances += epoch.extent.instances
            last_index = EpochCheck(camera, epoch, report).run(last_index)
    if finished:
        _check_consolidated(drive.path, report)
    return report


def _check_folders(drive: Drive, report: CheckReport) -> None:
    """Reports a folder without metadata, unless it only holds half-written files."""
    for folder in sorted(item for item in drive.path.iterdir() if item.is_dir() and item.name not in drive):
        if any(item.is_file() and item.suffix != PARTIAL for item in folder.glob("**/[!.]*")):
            missing = Path(folder.name, METADATA)
            report.add(Problem(f"{missing} is missing: restore it from a copy.", folder.name, path=missing))
    partial = sum(1 for _ in drive.path.glob(f"**/*{PARTIAL}"))
    if partial:
        report.notes.append(f"{partial} half-written files of a killed or running writer, which are never read")


def _was_closed(drive: Drive) -> bool:
    """Whether the run ended normally; without provenance it may have been killed."""
    try:
        *_, last = (drive.path / PROVENANCE).read_text(encoding="utf-8").splitlines()
        return bool(json.loads(last)["event"] == "closed")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_live(drive: Drive) -> bool:
    """Whether the sources are live cameras, which have an address."""
    sources = drive.attributes.get("sources")
    return isinstance(sources, dict) and any("address" in each for each in sources.values() if isinstance(each, dict))


def _captured(camera: CameraReader) -> int:
    """Returns how many frames a live camera had captured when its run was killed, or those accounted for."""
    try:
        return max(int((camera.folder / CAPTURED).read_text()), camera.ledger.accounted)
    except (OSError, ValueError):
        return camera.ledger.accounted


def _check_cameras(drive: Drive, report: CheckReport) -> None:
    """Reports the cameras that a finished store lacks, by the description of its sources."""
    sources = drive.attributes.get("sources")
    for name in sorted(sources if isinstance(sources, dict) else ()):
        if not (drive.path / name).exists():
            missing = Path(name)
            report.add(Problem(f"{missing} is missing: restore it from a copy.", name, path=missing))


def _check_consolidated(path: Path, report: CheckReport) -> None:
    """Reports groups and arrays whose metadata differ from their copies in the root, which xarray reads."""
    known = {problem.path for problem in report.problems}
    for file in outdated_metadata(path):
        if file not in known:
            report.add(Problem(f"{file} differs from its copy in {METADATA}: restore both from a copy.", path=file))


def _check_ledger(camera: CameraReader, report: CheckReport, *, finished: bool) -> None:
    path = Path(camera.name, "ledger", METADATA)
    if not camera.complete and finished:
        report.add(Problem(f"{path} is missing: restore it from a copy.", camera.name, path=path))
    elif not camera.complete:
        why = "its run was interrupted or killed" if report.writer is None else f"it is written by {report.writer}"
        report.notes.append(f"camera {camera.name} was not closed: {why}")
        if missing := _captured(camera) - camera.ledger.accounted:
            report.notes.append(
                f"camera {camera.name}: {missing} of {_captured(camera)} captured frames are missing: they were on "
                "their way or not committed when the run was killed"
            )
    if camera.removed:
        report.notes.append(f"camera {camera.name}: its {camera.removed} oldest frames were removed, as configured")
    if camera.ledger.stored != len(camera) + camera.removed:
        kept = camera.ledger.stored - camera.removed
        message = f"expected {kept} stored frames as the ledger says, got {len(camera)}."
        report.add(Problem(message, camera.name, path=path))
    try:
        camera.ledger.check(camera.name)
    except LedgerError as error:
        report.add(Problem(str(error), camera.name, path=path))
