"""Publishes finished stores to a folder that only a URL reaches: S3, GCS, Azure, SFTP, ...

A store is recorded on a local disk, because a commit renames and flushes files, and is copied when it is finished. The
root metadata is copied last and the note of the batch after it, so that nobody opens an incomplete store and no drive
counts as finished before all of it is published.
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
"""Number of files that are copied at the same time."""


def is_url(out: str) -> bool:
    """Returns whether an output is a URL and not a local folder."""
    return "://" in out


class PublishedFolder:
    """The folder that finished stores are published to, through fsspec.

    Args:
        url: URL of the folder, such as `s3://bucket/drives`; credentials come from the environment, as for the tools
            of that store.

    Raises:
        EngineError: fsspec, or the package that it needs for this kind of URL, is not installed.
        InputError: the URL is invalid, or there is no package for its scheme.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # noqa: PLC0415 - only where stores go to a URL
        except ImportError as error:
            raise missing_package("fsspec", f"writing to {redact_address(url)}", extra="export") from error
        self.url = url.rstrip("/")
        try:
            # No cached listings, since others write there too, and no connection with other credentials.
            fresh = {"use_listings_cache": False, "skip_instance_cache": True}
            self._files, self._root = fsspec.core.url_to_fs(self.url, **fresh)
        except ImportError as error:
            kind = self.url.partition(":")[0]
            raise InputError(f"cannot publish to a {kind}: URL: {error}.") from error
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"cannot publish to {redact_address(url)}: {redact_text(str(error), [url])}.") from error

    def __str__(self) -> str:
        return redact_address(self.url)

    def finished(self, drive: str, made_of: Mapping[str, Any]) -> DriveOutcome | None:
        """Returns the outcome of a drive if it is published and was made of the same files and settings, else None.

        Raises:
            StoreError: the folder cannot be read.
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
        """Copies a finished store and its note. A store of the same name is removed first.

        Raises:
            StoreError: the store could not be copied completely; the local store is unchanged.
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
                raise OSError(f"{len(wrong)} files differ from their copies, such as {wrong[0][0]}")
            self._files.put_file(str(store / METADATA), f"{target}/{METADATA}")
            self._files.makedirs(f"{self._root}/{NOTES}", exist_ok=True)
            note = json.dumps({"outcome": asdict(outcome), "made_of": made_of})
            self._files.pipe_file(self._note(outcome.drive), note.encode())

    def put_report(self, report: Path) -> str:
        """Copies the report; returns its URL without credentials.

        Raises:
            StoreError: the report cannot be written.
        """
        with self._reaching("write"):
            self._files.put_file(str(report), f"{self._root}/{report.name}")
        return f"{self}/{report.name}"

    def require_writable(self) -> None:
        """Checks that the folder can be written, with a small file that is removed again.

        Raises:
            StoreError: the folder cannot be written, or the bucket does not exist. A bucket is never created, because
                its name may be mistyped.
        """
        with self._reaching("write"):
            top = "/" + self._root.lstrip("/").partition("/")[0]
            top = top if self._root.startswith("/") else top[1:]
            if not self._files.exists(top):
                raise FileNotFoundError(f"{top} does not exist")
            self._files.makedirs(f"{self._root}/{NOTES}", exist_ok=True)
            self._files.pipe_file(f"{self._root}/{NOTES}/trial", b"roadmask")
            self._files.rm_file(f"{self._root}/{NOTES}/trial")

    def _note(self, drive: str) -> str:
        return f"{self._root}/{NOTES}/{drive}.json"

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each kind of store has its own errors
            why = f"{type(error).__name__}: {redact_text(str(error), [self.url])}"
            raise StoreError(
                f"cannot {what} {self}: {why}. Check the address, the network and your credentials, then run the same "
                "command again: finished stores remain on the local disk until then."
            ) from error
