"""A kind of source needs its entry in the registry and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roadmask.engines.errors import InputError, SourceError
from roadmask.streaming.batch.drives import find_drives
from roadmask.streaming.sources import ImageSource, open_camera, parse_sources, registry
from roadmask.streaming.sources.registry import KINDS, SourceKind, SourceRequest, expected_sources
from support.bags import image_entry, png, write_mcap
from support.video_factory import numbered_image, write_clip


def open_tape(request: SourceRequest) -> ImageSource:
    import cv2

    names = request.paths or (Path(request.location),)
    image = names[0].with_suffix(".png")
    cv2.imwrite(str(image), numbered_image(3))
    return ImageSource(request.camera, [image], **request.parameters({"fps": float}))


TAPE = SourceKind("tape", "a tape", f"{__name__}:open_tape", suffixes=frozenset({".tape"}))


def test_kinds_are_told_apart() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    suffixes = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(bool(kind.scheme) != bool(kind.suffixes) for kind in KINDS)


def test_every_kind_describes_itself_by_its_name(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", range(2))
    (tmp_path / "images").mkdir()
    open_tape(SourceRequest("c", (), (tmp_path / "images" / "a.tape",)))
    bag = write_mcap(tmp_path / "a.mcap", [image_entry("/front/image", 0, numbered_image(1))])
    raw = tmp_path / "raw" / "image_02"
    (raw / "data").mkdir(parents=True)
    (raw / "data" / "0000000000.png").write_bytes(png(numbered_image(0)))
    (raw / "timestamps.txt").write_text("2011-09-26 13:02:25.594360375\n")
    dataset = f"dataset:{raw.parent}?camera=image_02"
    specs = {
        "dataset": dataset,
        "bag": bag,
        "video": clip,
        "images": tmp_path / "images",
        "synthetic": "synthetic:rear?seconds=0.1",
    }
    assert set(specs) == {kind.name for kind in KINDS}, "add a source of the new kind to specs"
    for kind in KINDS:
        description = open_camera("c", [str(specs[kind.name])]).describe()
        assert description["kind"] == kind.name
        found = kind.find(description)
        assert found is None or open_camera("c", [found]).describe() == description


def test_a_new_kind_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "KINDS", (*KINDS, TAPE))
    path = tmp_path / "drive.tape"
    path.write_bytes(b"x")
    assert parse_sources([f"{path}?fps=5"]) == {"drive": [f"{path}?fps=5"]}
    assert open_camera("front", [f"{path}?fps=5"]).fps == 5
    assert "or a tape" in expected_sources()
    assert [drive.name for drive in find_drives([str(tmp_path)]).drives] == ["drive"]
    with pytest.raises(SourceError, match=r"mixes tape \(.*drive.tape\) and video"):
        open_camera("front", [str(path), str(write_clip(tmp_path / "a.mp4", [0]))])


def test_a_new_kind_with_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "KINDS", (*KINDS, replace(TAPE, scheme="tape", suffixes=frozenset())))
    spec = f"tape:{tmp_path / 'drive.tape'}?fps=5"
    assert parse_sources([spec]) == {"drive": [spec]}
    assert open_camera("front", [spec]).fps == 5
    with pytest.raises(SourceError, match="it takes fps"):
        open_camera("front", [f"{spec}&depth=1"])
    with pytest.raises(InputError, match="or a tape"):
        parse_sources([])
