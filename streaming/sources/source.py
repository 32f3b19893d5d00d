"""What every source of frames offers."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from roadmask.engines.errors import SourceError
from roadmask.streaming.frames import Clock, Frame, LostFrame


class FrameSource(Protocol):
    """The frames of one camera, in the order they were captured.

    Iterating yields one item for each frame that was captured, numbered from 0 without gaps: a `Frame`, or a
    `LostFrame` where it gave no image. Timestamps of frames strictly increase. Iterating again starts again.
    """

    camera: str
    """Name of the camera."""
    clock: Clock
    """What its timestamps count from."""
    fps: float | None
    """Nominal frames per second; None where the recording does not say."""
    frames_expected: int | None
    """How many frames the recording claims to hold, for progress bars: an estimate."""
    captured: int
    """Frames counted at the reader since iteration last began; at its end, the number of items it yielded."""

    def describe(self) -> dict[str, Any]:
        """Returns what identifies the recording: names of files without their folders, sizes, hashes of their content.

        The same recording gives the same answer every time, wherever it lies; it holds JSON types and no secrets.
        """
        ...

    def __iter__(self) -> Iterator[Frame | LostFrame]:
        """Reads from the start.

        Raises:
            SourceError: the source was closed, or what comes next cannot be used; what came before is good.
        """
        ...

    def close(self) -> None:
        """Lets go of files; may be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BaseSource:
    """What sources share: closing."""

    camera: str
    _closed = False

    def close(self) -> None:
        """Lets go of files; may be called again."""
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
            raise SourceError(f"the source of camera {self.camera!r} was closed: open it again to read from its start.")
