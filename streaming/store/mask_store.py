"""Creates the store of a drive, keeps other writers out, and notes its provenance."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import zarr

import roadmask
from roadmask.engines.errors import StoreError, StoreExistsError
from roadmask.engines.files import PARTIAL, flush, remove_empty
from roadmask.streaming.redaction import redact_text
from roadmask.streaming.store.consolidated import consolidate, remove_consolidated
from roadmask.streaming.store.drive_reader import require_schema
from roadmask.streaming.store.files import DurableStore, WriterLock, lock_of, this_process
from roadmask.streaming.store.layout import (
    LEDGER,
    METADATA,
    PROVENANCE,
    SCHEMA_VERSION,
    json_data,
    read_attributes,
)
from roadmask.streaming.store.resuming import require_same


class MaskStore:
    """A drive that is being written: its lock and its provenance. Each camera is written by its own `CameraWriter`.

    As a context manager it closes itself at the end. Close the cameras first.

    Example::

        with (
            MaskStore.create(Path("drive.zarr"), class_names={3: "car"}, engine={}, sources={}, config={}) as store,
            CameraWriter(store.path, "front") as front,
        ):
            front.start_epoch(0, (540, 960), "media")
            front.append(0, 0, tracks)
    """

    def __init__(self, path: Path, lock: WriterLock, cameras: Iterable[str], created: Iterable[Path] = ()) -> None:
        """Not meant to be called: use `create`."""
        self.path = path
        self._lock = lock
        self._cameras = list(cameras)
        self._created = list(created)
        self._closed = self._interrupted = False
        self.finished_before = False
        """Whether an earlier run finished every camera, so that nothing is left to write."""

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        class_names: dict[int, str],
        engine: dict[str, Any],
        sources: dict[str, Any],
        config: dict[str, Any],
        starts_ns: Mapping[str, int] | None = None,
        command: str = "",
        resume: bool = False,
    ) -> MaskStore:
        """Creates a store and locks it, or resumes one that an earlier run left unfinished.

        Args:
            path: folder of the store, such as `drive.zarr`; it does not exist unless it is resumed.
            class_names: COCO category id -> name, of the classes that may occur.
            engine: description of the engine, as JSON data.
            sources: description of the source of each camera, as JSON data; credentials are left out.
            config: configuration of the run, as JSON data.
            starts_ns: camera -> time on the clock of the drive at which its recording begins, in nanoseconds, for
                cameras that began after the first one.
            command: command line, for the provenance.
            resume: continue with the store at `path`, if there is one.

        Raises:
            StoreExistsError: there is something at `path`.
            StoreSchemaError: the store to resume has another schema version.
            StoreResumeError: the store to resume was created with other sources, settings or another engine.
            StoreLockedError: another process writes to the store.
            StoreError: the folder cannot be written.
            InputError: a description is not JSON data.
        """
        path = Path(path)
        attributes = {
            "schema_version": SCHEMA_VERSION,
            "roadmask_version": roadmask.__version__,
            "class_names": {str(category_id): name for category_id, name in sorted(class_names.items())},
            "engine": json_data(engine, "engine"),
            "sources": json_data(sources, "sources"),
            "config": json_data(config, "config"),
            **({"starts_ns": json_data(starts_ns, "starts_ns")} if starts_ns else {}),
        }
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remove_empty(missing)
            raise StoreError(
                f"cannot write to {path}: {error.strerror or error} ({error.filename}). Choose a folder that you may "
                f"write to."
            ) from error
        try:
            lock = WriterLock(lock_of(path), path)
        except StoreError:
            remove_empty(missing)
            raise
        try:
            if resume and (path / METADATA).is_file():
                stored = read_attributes(path)
                require_schema(path, stored.get("schema_version", SCHEMA_VERSION), stored.get("roadmask_version"))
                require_same(stored, attributes, path)
                store = cls(path, lock, sources)
                store.finished_before = _is_finished(path, sources)
                if not store.finished_before:
                    remove_consolidated(path)
                    store.note("resumed", command=redact_text(command), roadmask=roadmask.__version__, **_machine())
                return store
            if resume:
                _remove_empty(path)
            require_nothing(path)
            try:
                path.mkdir()
                zarr.create_group(DurableStore(path), attributes=attributes)
                flush(path.parent)
                store = cls(path, lock, sources, [path, *missing])
                store.note("created", command=redact_text(command), roadmask=roadmask.__version__, **_machine())
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)  # created here and empty: it must not block the next attempt
                raise
        except BaseException as error:
            lock.release()
            remove_empty(missing)
            if isinstance(error, OSError):
                raise StoreError(f"cannot write to {path}: {error.strerror or error}.") from error
            raise
        return store

    def __enter__(self) -> MaskStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.discard_empty()
        self._close(None if error is None else f"{type(error).__name__}: {error}")

    def note(self, event: str, **details: Any) -> None:
        """Adds a line to the provenance with an event, its time and process; after `interrupted` none says `closed`.

        Raises:
            StoreError: the file cannot be written.
        """
        self._interrupted = self._interrupted or event == "interrupted"
        line = json.dumps({"event": event, **this_process(), **details}, sort_keys=True, default=str)
        try:
            with (self.path / PROVENANCE).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            flush(self.path / PROVENANCE)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path / PROVENANCE}: {error.strerror or error}.") from error

    def discard_empty(self) -> None:
        """Removes the store if it was created here and no frame was accounted for: it would block the next attempt."""
        try:
            empty = not any(_holds_frames(folder) for folder in self.path.iterdir())
        except OSError:  # its disk is gone
            return
        if self._closed or not self._created or not empty:
            return
        self._closed = True
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        remove_empty(self._created)

    def close(self) -> None:
        """Writes the consolidated metadata and releases the lock; notes the end if all begun cameras are finished.

        Raises:
            StoreError: the store cannot be written; what was committed before still opens.
        """
        self._close(None)

    def _close(self, interruption: str | None) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if interruption is None:
                consolidate(self.path)
                begun = [camera for camera in self._cameras if (self.path / camera).exists()]
                if not self._interrupted and not self.finished_before and _is_finished(self.path, begun):
                    self.note("closed")
            else:
                with suppress(StoreError):  # the error that ended the run says more than a disk that is gone
                    consolidate(self.path)
                    if not self.finished_before:
                        self.note("interrupted", why=redact_text(interruption))
        finally:
            self._lock.release()


def require_nothing(path: Path) -> None:
    """Checks that there is nothing at the path of a new store.

    Raises:
        StoreExistsError: there is something.
    """
    if path.exists() or path.is_symlink():
        raise StoreExistsError(
            f"{path} already exists: continue it with --resume, choose another --out, or remove it first."
        )


def _is_finished(path: Path, cameras: Iterable[str]) -> bool:
    return all((path / camera / LEDGER / METADATA).is_file() for camera in cameras)


def _holds_frames(camera: Path) -> bool:
    try:
        attributes = read_attributes(camera)
        lost = [*attributes["dropped"].values(), *attributes["failed"].values()]
        return any([*lost, *(extent["frames"] for extent in attributes["committed"].values())])
    except (StoreError, AttributeError, KeyError, TypeError):
        return False


def _remove_empty(path: Path) -> None:
    """Removes the folder of a run that was killed before it had created its store."""
    if path.is_dir() and all(file.name.endswith(PARTIAL) for file in path.rglob("*") if not file.is_dir()):
        shutil.rmtree(path)


def _machine() -> dict[str, str]:
    return {"python": platform.python_version(), "system": platform.platform()}
