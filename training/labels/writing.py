"""Adds lines to a label set. Lines are never changed: a decision is a further line with the next revision."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from roadmask.engines.errors import InputError, StoreError, StoreLockedError
from roadmask.engines.files import replacing
from roadmask.training.labels.description import LabelSource, write_description
from roadmask.training.labels.reading import LABELS_NAME, LabelSet, checked_set, read_label_set
from roadmask.training.labels.records import Label, LabelState, Record, now, to_line

LOCK_NAME = ".lock"


class LabelWriter:
    """Adds to a label set, which is made if there is none. One process at a time writes.

    Args:
        folder: the label set.
        classes: class name -> category id of classes that are added.

    Raises:
        InputError: the folder holds something else, or what it holds is broken.
        StoreLockedError: another process writes.
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path | str, classes: Mapping[str, int] | None = None) -> None:
        self.folder = Path(folder)
        self._path = self.folder / LABELS_NAME
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"expected a folder for the label set, got the file {self.folder}: choose another path.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK_NAME, timeout=0)
            self._lock.acquire()
        except Timeout:
            raise StoreLockedError(f"another process writes to {self.folder}: wait until it ends.") from None
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.strerror}. Choose another place.") from error
        try:
            write_description(self.folder, classes or {})
            self._drop_unfinished_line()
            self.labels: LabelSet = read_label_set(self.folder)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def classes(self) -> Mapping[str, int]:
        """Class name -> category id."""
        return self.labels.description.classes

    def close(self) -> None:
        """Lets other processes write."""
        self._lock.release()

    def add_classes(self, classes: Mapping[str, int]) -> None:
        """Adds classes to `set.toml`; those that are there stay.

        Args:
            classes: class name -> category id.

        Raises:
            InputError: a class has another category id there.
            StoreError: the file cannot be written.
        """
        if classes.items() - self.labels.description.classes.items():
            self.labels = replace(self.labels, description=write_description(self.folder, classes))

    def append(self, records: Sequence[Record]) -> None:
        """Writes a few lines, and returns when they are on the disk.

        Raises:
            InputError: a record contradicts the set; nothing is written.
            StoreError: the disk is full or gone; the file is as it was before.
        """
        labels = self._with(records)
        with self._reporting():
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            length = os.fstat(descriptor).st_size
            try:
                rest = memoryview(_content(records))
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, length)
                raise
            finally:
                os.close(descriptor)
        self.labels = labels

    def add(self, records: Sequence[Record], source: LabelSource | None = None) -> None:
        """Writes many lines, all of them or none, even if the process is killed meanwhile.

        Args:
            records: the lines.
            source: where they come from, if that is not in the set yet.

        Raises:
            InputError: a record contradicts the set; nothing is written.
            StoreError: the disk is full or gone; the labels are as they were before.
        """
        if source is not None:
            # Before its labels, which would be of an unknown drive if the process were killed in between.
            self.labels = replace(self.labels, description=write_description(self.folder, {}, [source]))
        labels = self._with(records)
        with self._reporting(), replacing(self._path, sync=True) as partial:
            if self._path.exists():
                shutil.copyfile(self._path, partial)
            with partial.open("ab") as file:
                file.write(_content(records))
        self.labels = labels

    def decide(self, labels: Sequence[Label], state: LabelState, person: str) -> None:
        """Writes what a person decided of labels: one line for each, with its next revision.

        Args:
            labels: as they are to be; their revisions do not matter.
            state: accepted, fixed or rejected.
            person: name of the person.

        Raises:
            InputError: a label contradicts the set, or nothing was decided; nothing is written.
            StoreError: the disk is full or gone; the file is as it was before.
        """
        if not state.decided:
            raise InputError(f"expected accepted, fixed or rejected, got {state}: a person decides.")
        when = now()
        known = self.labels.labels
        self.append(
            [
                replace(
                    label,
                    state=state,
                    source=f"person:{person}",
                    when=when,
                    revision=known[label.key].revision + 1 if label.key in known else 0,
                    score=1.0,
                    doubt=0.0,
                    why=(),
                )
                for label in labels
            ]
        )

    def _with(self, records: Sequence[Record]) -> LabelSet:
        """Returns the set with records added, once they were checked against what they may contradict."""
        before = self.labels
        frames = {(each.drive, each.frame) for each in records}
        objects = {(each.drive, each.object) for each in records if isinstance(each, Label)}
        known: list[tuple[str, Record]] = [
            (f"image {key}", before.images[key]) for key in frames if key in before.images
        ]
        touched = [each for each in before.labels.values() if (each.drive, each.object) in objects]
        known += [(f"image {key}", before.images[key]) for key in {each.key[:2] for each in touched} - frames]
        known += [(f"label {each.key}", each) for each in touched]
        added = [(f"record {position}", record) for position, record in enumerate(records)]
        part = checked_set(self.folder, before.description, [*known, *added])
        return LabelSet(
            self.folder,
            before.description,
            dict(sorted({**before.images, **part.images}.items())),
            dict(sorted({**before.labels, **part.labels}.items())),
        )

    def _drop_unfinished_line(self) -> None:
        if not self._path.exists():
            return
        with self._reporting(), self._path.open("rb+") as file:
            content = file.read()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                file.truncate(end)
                os.fsync(file.fileno())

    def _reporting(self) -> _Reporting:
        return _Reporting(self._path)


class _Reporting:
    """Turns an error of the disk into one of roadmask."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise StoreError(
                f"cannot write {self._path}: {error.strerror}. What was there before is safe: free space and try again."
            ) from error


def _content(records: Sequence[Record]) -> bytes:
    return "".join(f"{to_line(record)}\n" for record in records).encode()
