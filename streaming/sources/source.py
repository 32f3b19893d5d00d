"""The interface of sources of frames."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Clock, Frame, LostFrame


class FrameSource(Protocol):
    """The frames of one camera in the order of capture.

    Iteration yields one item for each captured frame, with frame indices from 0 without gaps: a `Frame`, or a
    `LostFrame` if the frame gave no image. Timestamps of frames strictly increase. Each iteration starts from the
    beginning.
    """

    camera: str
    """Name of the camera."""
    clock: Clock
    """What the timestamps count from."""
    fps: float | None
    """Nominal frame rate in frames per second; None if the recording does not state it."""
    frames_expected: int | None
    """Number of frames that the recording states, as an estimate for progress bars; None if it does not state it."""
    captured: int
    """Number of captured frames since the last iteration began; at its end, the number of items it yielded."""

    def describe(self) -> dict[str, Any]:
        """Returns what identifies the recording: names of files without folders, sizes, and hashes of their content.

        The result has only JSON types and no secrets. It is the same for the same recording, in whatever folder. Beside
        a `sha256`, the values of `name`, `file`, `first` and `last` are names that may change; nothing else may.
        """
        ...

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Reads from the beginning.

        Raises:
            SourceError: the source was closed, or the next frame cannot be used; the frames before it are valid.
        """
        ...

    def close(self) -> None:
        """Closes files; may be called repeatedly."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BaseSource:
    """Base class of sources: closing, and the context manager."""

    camera: str
    notes: tuple[str, ...] = ()
    """What a person should know of how the source is read, each in a sentence."""
    _closed = False

    def close(self) -> None:
        """Closes files; may be called repeatedly."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def require_open(self) -> None:
        """Returns if the source is open.

        Raises:
            SourceError: the source was closed.
        """
        if self._closed:
            raise SourceError(f"the source of camera {self.camera!r} is closed: open it again to read it.")
