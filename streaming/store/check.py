"""Does a store agree with itself?

Everything is stored twice on purpose: labels follow from run lengths, areas from run lengths, offsets from counts,
the ledger from frames. The check reads every byte that is committed and compares the two; files carry checksums, so a
flipped bit shows even where both sides would still agree.
"""

from __future__ import annotations

import json
from pathlib import Path

from roadmask.engines.errors import LedgerError, StoreCorruptError
from roadmask.engines.files import PARTIAL
from roadmask.streaming.store.check_epoch import EpochCheck
from roadmask.streaming.store.check_report import CheckReport, Problem
from roadmask.streaming.store.consolidated import outdated_metadata
from roadmask.streaming.store.layout import METADATA, PROVENANCE
from roadmask.streaming.store.reader import CameraReader, Drive, open_drive


def check_drive(path: Path | str) -> CheckReport:
    """Checks that run lengths, labels, areas, offsets, ids and ledger agree.

    Memory: one shard of labels, and everything else of one epoch, some hundred bytes an instance. Damage is
    reported, never raised.

    Raises:
        StoreError: there is nothing at the path, or no store.
        StoreSchemaError: a newer roadmask wrote it.
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
    """A folder without metadata is damage, unless nothing in it was ever finished."""
    for folder in sorted(item for item in drive.path.iterdir() if item.is_dir() and item.name not in drive):
        if any(item.is_file() and item.suffix != PARTIAL for item in folder.glob("**/[!.]*")):
            missing = Path(folder.name, METADATA)
            report.add(Problem(f"{missing} is missing: restore it from a copy.", folder.name, path=missing))
    partial = sum(1 for _ in drive.path.glob(f"**/*{PARTIAL}"))
    if partial:
        report.notes.append(f"{partial} half-written files of a killed or running writer; they are never read")


def _was_closed(drive: Drive) -> bool:
    """Whether its run came to its end; a store without provenance may be one whose run was killed."""
    try:
        *_, last = (drive.path / PROVENANCE).read_text(encoding="utf-8").splitlines()
        return bool(json.loads(last)["event"] == "closed")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_cameras(drive: Drive, report: CheckReport) -> None:
    """A finished store has a folder for each camera it says it was made from."""
    sources = drive.attributes.get("sources")
    for name in sorted(sources if isinstance(sources, dict) else ()):
        if not (drive.path / name).exists():
            missing = Path(name)
            report.add(Problem(f"{missing} is missing: restore it from a copy.", name, path=missing))


def _check_consolidated(path: Path, report: CheckReport) -> None:
    """What xarray reads in the root of a finished store is what its groups and arrays say themselves."""
    known = {problem.path for problem in report.problems}
    for file in outdated_metadata(path):
        if file not in known:
            report.add(Problem(f"{file} differs from its copy in {METADATA}: restore both from a copy.", path=file))


def _check_ledger(camera: CameraReader, report: CheckReport, *, finished: bool) -> None:
    path = Path(camera.name, "ledger", METADATA)
    if not camera.complete and finished:
        report.add(Problem(f"{path} is missing: restore it from a copy.", camera.name, path=path))
    elif not camera.complete:
        report.notes.append(f"camera {camera.name} was not closed: its run was killed or still goes on")
    if camera.removed:
        report.notes.append(f"camera {camera.name}: its {camera.removed} oldest frames were removed, as it was told to")
    if camera.ledger.stored != len(camera) + camera.removed:
        kept = camera.ledger.stored - camera.removed
        message = f"expected {kept} stored frames as the ledger says, got {len(camera)}."
        report.add(Problem(message, camera.name, path=path))
    try:
        camera.ledger.check(camera.name)
    except LedgerError as error:
        report.add(Problem(str(error), camera.name, path=path))
