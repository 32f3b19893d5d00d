"""The contracts find what they are for, and do without pytest what they can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roadmask import Instances
from roadmask.engines import BoxMasks, Image
from roadmask.streaming.frames import LostFrame
from roadmask.streaming.sinks.sink import BaseSink, TrackedFrame
from roadmask.testing import ScriptedSegmenter, SegmenterContract, SinkContract


def middle(image: Image, _number: int) -> Instances:
    height, width = image.shape[:2]
    boxes = np.array([[width / 5, height / 5, width * 4 / 5, height * 4 / 5]], np.float32)
    masks = BoxMasks(np.ones((1, 28, 28), np.float32), boxes, (height, width))
    return Instances((height, width), boxes, np.array([0.9], np.float32), np.array([1]), masks)


class TestAScript(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> ScriptedSegmenter:
        return ScriptedSegmenter(middle)


class Lines(BaseSink):
    """Writes one line per frame."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []

    def write(self, tracked: TrackedFrame) -> None:
        self._lines.append(f"{tracked.frame.frame_index} {tracked.tracks.track_ids.tolist()}")

    def close(self, captured: int | None) -> None:
        self._path.write_text("\n".join(self._lines))


class TestLines(SinkContract):
    def make(self, folder: Path) -> Lines:
        return Lines(folder / "lines.txt")

    def check(self, folder: Path, written: list[TrackedFrame], lost: list[LostFrame]) -> None:
        lines = (folder / "lines.txt").read_text().splitlines()
        assert lines == [f"{t.frame.frame_index} {t.tracks.track_ids.tolist()}" for t in written]


WRONG = {
    "def write(self, tracked): tracked.tracks.track_ids[...] = 0": "assignment destination is read-only",
    "def abort(self): raise ValueError('not open')": "test_abort_never_raises",
    "def commit(self): self.nothing": "test_a_camera_without_frames",
}


@pytest.mark.parametrize("method", WRONG)
def test_a_wrong_sink_fails_the_contract(method: str, tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        f"""
from roadmask.streaming.sinks.sink import BaseSink
from roadmask.testing import SinkContract

class Right(BaseSink):
    def write(self, tracked): pass

class Wrong(Right):
    {method}

class TestWrong(SinkContract):
    def make(self, folder): return Wrong()
"""
    )
    output = run_pytest(tmp_path)
    assert "failed" in output
    assert WRONG[method] in output


def test_a_failing_assertion_shows_what_it_compared(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        """
import pytest
from roadmask import Instances
from roadmask.testing import ScriptedSegmenter, SegmenterContract

class TestFindsNothing(SegmenterContract):
    @pytest.fixture
    def segmenter(self):
        return ScriptedSegmenter(lambda image, _: Instances.empty(image.shape[:2]))
"""
    )
    output = run_pytest(tmp_path, "-k", "best_first")
    assert "replace the fixture 'image'" in output
    assert "len(Instances(0 in 640 x 384" in output


def run_pytest(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder).stdout


def test_a_scripted_segmenter_needs_no_pytest() -> None:
    program = """
import sys
sys.modules["pytest"] = None
import numpy as np
from roadmask import Instances
from roadmask.testing import ScriptedSegmenter
assert len(ScriptedSegmenter([Instances.empty((4, 6))])([np.zeros((4, 6, 3), np.uint8)])) == 1
try:
    from roadmask.testing import SegmenterContract
except ImportError:
    print("needs pytest")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout == "needs pytest\n"
