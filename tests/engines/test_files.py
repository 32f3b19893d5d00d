"""A file is there whole or not at all, whoever writes it and however it ends."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from roadmask.engines import files
from roadmask.engines.files import PARTIAL, appearing, replacing, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(("content", "expected"), [(b"\x00\xff", b"\x00\xff"), ("grün", "grün".encode()), ("", b"")])
def test_content_comes_back(tmp_path: Path, content: bytes | str, expected: bytes, sync: bool) -> None:
    path = tmp_path / "a.json"
    for _ in range(2):  # new, and over an old one
        write_atomically(path, content, sync=sync)
        assert path.read_bytes() == expected
    assert names(tmp_path) == ["a.json"]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with suppress(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_unwritable_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a.json", "x")


def test_the_target_of_a_link_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "target"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_is_no_regular_file_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        came = pool.submit(pipe.read_bytes)
        write_atomically(pipe, "through")
        assert came.result(60) == b"through"
    assert pipe.is_fifo()


def test_sync_flushes_the_content_before_its_name_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    flushed: list[tuple[str, bool]] = []
    monkeypatch.setattr(files, "flush", lambda each: flushed.append((each.suffix or "folder", path.exists())))
    write_atomically(path, "x", sync=True)
    assert flushed == [(PARTIAL, False), ("folder", True)]


def test_writers_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    together = threading.Barrier(8)

    def write(n: int) -> None:
        together.wait(120)
        for _ in range(20):
            write_atomically(path, bytes([n]) * 50_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    data = path.read_bytes()
    assert len(data) == 50_000
    assert len(set(data)) == 1


@pytest.mark.parametrize("folder", [False, True])
def test_an_output_appears_once_it_is_whole(tmp_path: Path, folder: bool) -> None:
    out = tmp_path / "out.mp4"
    with appearing(out) as place:
        assert place.name == out.name  # writers look at how names end
        if folder:
            place.mkdir()
            (place / "a").write_text("x")
        else:
            place.write_text("x")
        assert not out.exists()
    assert out.is_dir() is folder
    assert names(tmp_path) == [out.name]


def test_an_output_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), appearing(tmp_path / "out") as place:
        place.write_text("half")
        raise ZeroDivisionError
    assert not names(tmp_path)
