"""Finished stores on their way to where they are kept, when that is no folder: S3, GCS, Azure, SFTP, ...

A store is recorded on a local disk, because a commit needs files that can be renamed and flushed, and is copied once it
is finished. Its root description goes last and the note of the batch after it, so that nobody opens half a store and
no drive counts as finished before it is there whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.extras import missing_package
from roadmask.streaming.batch.outcome import NOTES, DriveOutcome, read_note
from roadmask.streaming.redaction import redact_address, redact_text
from roadmask.streaming.store.layout import METADATA

_AT_ONCE = 16
"""Files that are copied at the same time."""


def is_url(out: str) -> bool:
    """Whether an output names no local folder."""
    return "://" in out


class Shelf:
    """Where finished stores are kept, as fsspec reaches it.

    Args:
        url: such as `s3://bucket/drives`; credentials come from where its own tools take them.

    Raises:
        EngineError: fsspec or what it needs for this kind of URL is not installed.
        InputError: the URL cannot be understood.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # noqa: PLC0415 - only where stores go to a URL
        except ImportError as error:
            raise missing_package("fsspec", f"writing to {redact_address(url)}", extra="export") from error
        self.url = url.rstrip("/")
        try:
            # Listings must not be remembered, since others write there too, nor a connection under other credentials.
            fresh = {"use_listings_cache": False, "skip_instance_cache": True}
            self._files, self._root = fsspec.core.url_to_fs(self.url, **fresh)
        except ImportError as error:
            kind = self.url.partition(":")[0]
            raise InputError(f"stores cannot go to a {kind} URL yet: {error}.") from error
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"cannot understand {redact_address(url)}: {redact_text(str(error), [url])}.") from error

    def __str__(self) -> str:
        return redact_address(self.url)

    def finished(self, drive: str, made_of: Mapping[str, Any]) -> DriveOutcome | None:
        """Returns the outcome of a drive that is kept here and was made of the same.

        Raises:
            StoreError: the shelf cannot be read.
        """
        with self._reaching("read"):
            try:
                text = self._files.cat_file(self._note(drive)).decode()
            except FileNotFoundError:
                return None
            outcome, before = read_note(text)
            if outcome is None or before != made_of or not self._files.exists(f"{self._root}/{drive}.zarr/{METADATA}"):
                return None
        return replace(outcome, skipped=True, started=0.0)

    def put(self, store: Path, outcome: DriveOutcome, made_of: Mapping[str, Any]) -> None:
        """Copies a finished store and its note; what another run left in its place is removed first.

        Raises:
            StoreError: not all of it could be copied; the local store is as it was.
        """
        target = f"{self._root}/{store.name}"
        files = [path for path in sorted(store.rglob("*")) if path.is_file() and path != store / METADATA]
        with self._reaching("write"):
            if self._files.exists(self._note(outcome.drive)):
                self._files.rm_file(self._note(outcome.drive))
            if self._files.exists(target):
                self._files.rm(target, recursive=True)
            sources = [str(path) for path in files]
            targets = [f"{target}/{path.relative_to(store).as_posix()}" for path in files]
            for folder in sorted({path.rpartition("/")[0] for path in targets}):
                self._files.makedirs(folder, exist_ok=True)
            self._files.put(sources, targets, batch_size=_AT_ONCE)
            sizes = {name: found["size"] for name, found in self._files.find(target, detail=True).items()}
            here = {self._files._strip_protocol(t): path.stat().st_size for t, path in zip(targets, files, strict=True)}
            if sizes != here:
                wrong = sorted(set(sizes.items()) ^ set(here.items()))
                raise OSError(f"{len(wrong)} files differ from those that were sent, the first is {wrong[0][0]}")
            self._files.put_file(str(store / METADATA), f"{target}/{METADATA}")
            self._files.makedirs(f"{self._root}/{NOTES}", exist_ok=True)
            note = json.dumps({"outcome": asdict(outcome), "made_of": made_of})
            self._files.pipe_file(self._note(outcome.drive), note.encode())

    def put_report(self, report: Path) -> str:
        """Copies the report; returns where it is.

        Raises:
            StoreError: it cannot be written.
        """
        with self._reaching("write"):
            self._files.put_file(str(report), f"{self._root}/{report.name}")
        return f"{self}/{report.name}"

    def require_writable(self) -> None:
        """Writes a small file and removes it again.

        Raises:
            StoreError: that failed, or there is no such bucket: none is made, its name may be a slip.
        """
        with self._reaching("write"):
            top = "/" + self._root.lstrip("/").partition("/")[0]
            top = top if self._root.startswith("/") else top[1:]
            if not self._files.exists(top):
                raise FileNotFoundError(f"there is no {top}")
            self._files.makedirs(f"{self._root}/{NOTES}", exist_ok=True)
            self._files.pipe_file(f"{self._root}/{NOTES}/trial", b"roadmask")
            self._files.rm_file(f"{self._root}/{NOTES}/trial")

    def _note(self, drive: str) -> str:
        return f"{self._root}/{NOTES}/{drive}.json"

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each kind of store has errors of its own
            why = f"{type(error).__name__}: {redact_text(str(error), [self.url])}"
            raise StoreError(
                f"cannot {what} {self}: {why}. Check the address, the network and your credentials, then run the same "
                "command again: what was recorded waits on the local disk."
            ) from error
