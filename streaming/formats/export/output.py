"""Writes an export to a disk or an object store; the output appears when it is complete, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from roadmask.engines.errors import InputError, StoreError
from roadmask.engines.extras import missing_package
from roadmask.engines.files import appearing
from roadmask.streaming.formats.export.job import ExportJob
from roadmask.streaming.formats.export.registry import FORMATS, ExportFormat
from roadmask.streaming.redaction import redact_address, redact_text


def export_drive(job: ExportJob, name: str, out: str) -> None:
    """Exports a drive to another format.

    Args:
        job: the drive and the options of the export.
        name: name of the format, a key of `FORMATS`.
        out: path of the output, or for formats of one file a URL that fsspec supports, such as `s3://bucket/drive.json`.

    Raises:
        InputError: the format is unknown, the output exists, or format, output and options do not fit together.
        EngineError: a package is missing; the message has the command that installs it.
        StoreError: the drive cannot be read, or the output cannot be written.
    """
    if name not in FORMATS:
        raise InputError(f"expected a format among {', '.join(FORMATS)}, got {name!r}.")
    chosen = FORMATS[name]
    if job.detected_only and job.anonymize:
        raise InputError("Propagated instances are road users and must be blurred: leave out --detected-only.")
    _require_images(job, chosen)
    if chosen.suffix and not out.lower().endswith(chosen.suffix):
        raise InputError(f"expected a name that ends in {chosen.suffix} for {name}, got {out}.")
    for package in chosen.packages:
        if find_spec(package) is None:
            raise missing_package(package, f"exporting to {name}", extra=chosen.extra)
    if "://" in out:
        if job.image_files:
            raise InputError(
                f"expected a path for an export with images, got {redact_address(out)}: write it to a disk."
            )
        place = _remote(out, folder=not chosen.suffix)
    else:
        place = _local(Path(out), [camera.name for camera in job.cameras] if job.image_files else [])
    try:
        with place as partial:
            chosen.writer(job, partial)
    except OSError as error:
        raise StoreError(
            f"cannot write to {out}: {error.strerror or error}. Free space, or choose another place."
        ) from error


def _require_images(job: ExportJob, chosen: ExportFormat) -> None:
    """Checks that a format has the images that a job asks for."""
    if job.image_files and not chosen.image_files:
        known = " or ".join(name for name, each in FORMATS.items() if each.image_files)
        raise InputError(f"{chosen.name} names no images to write: export to {known}, or leave out --images.")
    if job.anonymize and not (chosen.images or job.image_files):
        known = " or ".join(name for name, each in FORMATS.items() if each.images)
        also = ", or add --images" if chosen.image_files else ""
        raise InputError(
            f"{chosen.name} holds no images to anonymize: export to {known}{also}, or leave out --anonymize."
        )


@contextmanager
def _local(out: Path, folders: Sequence[str] = ()) -> Iterator[Path]:
    """Gives a path beside the output to write to, then renames it, and before it the folders that lie beside it."""
    for path in (out, *(out.parent / folder for folder in folders)):
        if path.exists() or path.is_symlink():
            raise InputError(f"{path} already exists: choose another name, or remove it first.")
    with ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            partial = stack.enter_context(appearing(out))
        except OSError as error:
            raise InputError(f"cannot write to {out}: {error.strerror or error}. Choose another place.") from error
        yield partial
        for folder in folders:
            (partial.parent / folder).rename(out.parent / folder)


@contextmanager
def _remote(url: str, *, folder: bool) -> Iterator[Path]:
    """Gives a local file to write to, then uploads it: object stores show an object when it is complete."""
    if folder:
        raise InputError(
            f"expected a path for a format that is a folder, got {redact_address(url)}: write it to a disk."
        )
    if find_spec("fsspec") is None:
        raise missing_package("fsspec", f"writing to {url.partition(':')[0]}://", extra="export")
    import fsspec  # noqa: PLC0415 - optional

    try:
        files, path = fsspec.core.url_to_fs(url)
        there = _asked(files.exists, path, url)
    except (ImportError, ValueError) as error:
        raise InputError(f"cannot write to {redact_address(url)}: {redact_text(str(error), [url])}.") from error
    if there:
        raise InputError(f"{redact_address(url)} already exists: choose another name, or remove it first.")
    with tempfile.TemporaryDirectory(prefix="roadmask-") as scratch:
        local = Path(scratch) / Path(path).name
        yield local
        _asked(lambda target: files.put_file(str(local), target), path, url)


def _asked(ask: Callable[[str], Any], path: str, url: str) -> Any:
    try:
        return ask(path)
    except (ImportError, ValueError):
        raise
    except Exception as error:  # each object store has errors of its own
        shown, why = redact_address(url), redact_text(str(error), [url])
        raise StoreError(f"cannot write to {shown}: {why}. Check its name and your credentials.") from error
