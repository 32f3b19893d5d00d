"""What the tests of live sources share: a clip, and decoders that are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.video_factory import write_clip
from support.watched_decoder import WatchedDecoder


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[[str], WatchedDecoder]]:
    """Starts a decoder on a source; its ledger is checked when the test ends."""
    watched: list[WatchedDecoder] = []

    def start(source: str) -> WatchedDecoder:
        watched.append(WatchedDecoder(source, tmp_path / "camera.counts"))
        return watched[-1]

    yield start
    for each in watched:
        each.close()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of H.264, an image of its own number each."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", range(25), gop=5, b_frames=0)
