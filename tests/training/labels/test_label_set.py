"""A label set keeps what was written, whatever is killed, and says which line is wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roadmask.engines.errors import InputError, StoreError, StoreLockedError
from roadmask.training.labels.description import LabelSource, classes_named, read_description, write_description
from roadmask.training.labels.reading import read_label_set
from roadmask.training.labels.records import LabelState, from_line, to_line
from roadmask.training.labels.writing import LabelWriter
from support.label_sets import MODEL, SIZE, WHEN, image_of, label_of, made_set, mask_of, small_set


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = read_label_set(small_set(tmp_path / "set"))
    assert list(labels.images) == [("city", 0), ("city", 1), ("city", 2), ("city", 3), ("rain", 7)]
    assert [label.key for label in labels.labels.values()] == [
        ("city", 0, 1), ("city", 1, 1), ("city", 1, 2), ("city", 2, 1), ("city", 2, 2), ("rain", 7, 1)
    ]  # fmt: skip
    assert labels.labels["city", 1, 2].why == ("gap",)
    assert labels.labels["city", 2, 1].score == pytest.approx(0.8)
    assert [len(each) for each in labels.objects.values()] == [3, 2, 1]
    assert labels.by_image["city", 3] == []
    assert labels.description.sources["city"].licence == "CC BY 4.0"
    assert labels.description.classes == {"pedestrian": 1, "car": 3}


def test_a_record_survives_its_line() -> None:
    for record in (
        image_of(3),
        image_of(3, file="../a b/ü.jpg", sha256="00" * 32, time_ns=None),
        label_of(),
        label_of(state=LabelState.FIXED, score=1.0, crowd=True, revision=4, doubt=0.25, why=("gap", "area")),
    ):
        assert from_line(to_line(record)) == record


def test_the_version_hangs_on_what_is_labelled_and_not_on_the_order_of_lines(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    version = read_label_set(folder).version
    lines = (folder / "labels.jsonl").read_text().splitlines()
    lines = lines[5:] + lines[:5][::-1]
    (folder / "labels.jsonl").write_text("".join(f"{line}\n" for line in lines))
    text = (folder / "set.toml").read_text()
    (folder / "set.toml").write_text(f"# checked by hand\n{text}")
    assert read_label_set(folder).version == version
    with LabelWriter(folder) as writer:
        writer.decide([writer.labels.labels["city", 0, 1]], LabelState.ACCEPTED, "ada")
        accepted = writer.labels.version
    assert accepted != version
    assert read_label_set(folder).version == accepted
    (folder / "set.toml").write_text(text.replace("CC BY 4.0", "MIT"))
    assert read_label_set(folder).version not in (version, accepted)


def test_the_highest_revision_holds_wherever_its_line_is(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    with LabelWriter(folder) as writer:
        whole = [each for each in writer.labels.labels.values() if each.drive == "city" and each.object == 1]
        writer.decide(whole, LabelState.ACCEPTED, "ada")
        writer.decide([replace(whole[0], counts=mask_of(20))], LabelState.FIXED, "bob")
        writer.decide([whole[1]], LabelState.REJECTED, "bob")
    lines = (folder / "labels.jsonl").read_text().splitlines()
    (folder / "labels.jsonl").write_text("".join(f"{line}\n" for line in reversed(lines)))
    labels = read_label_set(folder).labels
    first = labels["city", 0, 1]
    assert (first.state, first.source, first.revision, first.score) == (LabelState.FIXED, "person:bob", 2, 1.0)
    assert first.counts == mask_of(20)
    assert labels["city", 2, 1].state is LabelState.ACCEPTED
    assert len(read_label_set(folder).by_image["city", 1]) == 1, "what is rejected is gone"


IMAGE, LABEL = to_line(image_of()), to_line(label_of())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([IMAGE, "{broken"], r"labels\.jsonl:2: expected JSON"),
        ([IMAGE, "[]"], r":2: expected an object with either image or object"),
        ([IMAGE, LABEL.replace('"rle"', '"polygon"')], r":2: expected the fields .* got polygon as well"),
        ([IMAGE, LABEL.replace(',"state":"proposed"', "")], r":2: expected the field state"),
        ([IMAGE, LABEL.replace("proposed", "maybe")], r":2: expected state to be proposed, accepted"),
        ([IMAGE, LABEL.replace('"score":0.75', '"score":1.5')], r":2: expected score to be a number from 0 to 1"),
        ([IMAGE, LABEL.replace('"score":0.75', '"score":NaN')], r":2: expected score to be a number from 0 to 1"),
        ([IMAGE, LABEL.replace('"object":1', '"object":true')], r":2: expected object to be int, got True"),
        ([IMAGE, LABEL.replace('"object":1', '"object":0')], r":2: expected object to be an id from 1"),
        ([IMAGE, LABEL.replace(MODEL, "me")], r":2: expected source to be model:\.\.\. or person"),
        ([IMAGE, LABEL.replace(WHEN, "yesterday")], r":2: expected when to be a time"),
        ([IMAGE, LABEL.replace("car", "cyclist")], r":2: the class 'cyclist' is not in set\.toml: it has pedestrian"),
        ([IMAGE.replace("city", "moon")], r":1: the drive 'moon' is not in set\.toml"),
        ([IMAGE.replace("[60,80]", "[60,0]")], r":1: expected size to be a height and width above 0"),
        ([LABEL], r":1: the image city/0 of object 1 is not in the set"),
        ([IMAGE, LABEL, LABEL], r":3: object 1 is in city/0 already, at .*:2"),
        ([IMAGE, IMAGE], r":2: the image city/0 is at .*:1 already"),
        ([IMAGE, to_line(label_of(counts=mask_of(size=(30, 30))))], r":2: the run lengths of object 1 are broken"),
        ([IMAGE, to_line(label_of(counts=mask_of(width=0)))], r":2: the mask of object 1 is empty"),
        (
            [IMAGE, LABEL, to_line(image_of(1)), to_line(label_of(1, class_name="pedestrian"))],
            r"object 1 of city is a (pedestrian|car), at .* it is a (pedestrian|car)",
        ),
    ],
)
def test_the_line_that_is_wrong_is_named(tmp_path: Path, lines: list[str], expected: str) -> None:
    folder = made_set(tmp_path / "set", [image_of(9)])
    (folder / "labels.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError, match=expected):
        read_label_set(folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format = 2", "expected format = 1, got 2"),
        ("format = 1\n[classes]\ncar = 4", "expected car = 3, its category id in COCO, got 4"),
        ("format = 1\n[classes]\nperson = 1", "expected the class 'pedestrian', got 'person'"),
        ("format = 1\n[classes]\ncyclist = 7", "expected a category id from 91 to 255 for cyclist"),
        ("format = 1\n[classes]\ncyclist = 101\nrider = 101", "cyclist and rider share the category id 101"),
        ("format = 1\n[sources.a]\nlicense = 'MIT'", "got license = 'MIT'"),
        ("format = 1\n[sources.a]\nrecorded_at = 'noon'", "expected recorded_at as ISO 8601"),
        ("format = ", "not valid TOML"),
        ("format = 1\nnames = 3", "got names as well"),
    ],
)
def test_descriptions_that_are_wrong_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "set.toml").write_text(text)
    with pytest.raises(InputError, match=expected):
        read_description(tmp_path)


def test_comments_in_the_description_stay(tmp_path: Path) -> None:
    write_description(tmp_path, {"car": 3})
    path = tmp_path / "set.toml"
    path.write_text(path.read_text().replace("[classes]", "[classes] # two wheels come later"))
    source = LabelSource("city", "MIT", ('../a "b".mp4',), {"kind": "video", "n": [1]}, "2026-05-04T12:00:00+00:00")
    described = write_description(tmp_path, classes_named(["person", "cyclist", "Scooter"]), [source])
    assert "# two wheels come later" in path.read_text()
    assert described.classes == {"pedestrian": 1, "cyclist": 101, "scooter": 102, "car": 3}
    assert described.sources == {"city": source}
    assert write_description(tmp_path, {"car": 3}, [source]) == described
    with pytest.raises(InputError, match="the source city is described differently"):
        write_description(tmp_path, {}, [replace(source, specs=("b.mp4",))])
    with pytest.raises(InputError, match="cyclist has the category id 101 there and 102 here"):
        write_description(tmp_path, {"cyclist": 102})


def test_an_unfinished_line_does_not_count_and_the_next_writer_removes_it(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    path = folder / "labels.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + LABEL.encode()[:40])
    assert len(read_label_set(folder).labels) == 6
    with LabelWriter(folder) as writer:
        writer.append([label_of(3, 9)])
    assert path.read_bytes() == whole + to_line(label_of(3, 9)).encode() + b"\n"


def test_a_writer_refuses_what_contradicts_the_set_and_writes_nothing(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    before = (folder / "labels.jsonl").read_bytes()
    wrong: list[Any] = [
        (label_of(0, 1), "object 1 is in city/0 already"),
        (label_of(3, 1, class_name="pedestrian"), "an object has one class"),
        (label_of(8, 3), "the image city/8 of object 3 is not in the set"),
        (image_of(0), "the image city/0 is at"),
        (label_of(3, 3, counts=b"~~"), "run lengths of object 3 are broken"),
    ]
    with LabelWriter(folder) as writer:
        for record, expected in wrong:
            for write in (writer.append, writer.add):
                with pytest.raises(InputError, match=expected):
                    write([label_of(3, 77), record])
        with pytest.raises(InputError, match="a person decides"):
            writer.decide([label_of()], LabelState.PROPOSED, "ada")
        with pytest.raises(StoreLockedError, match="another process writes"):
            LabelWriter(folder)
    assert (folder / "labels.jsonl").read_bytes() == before
    with pytest.raises(InputError, match="expected a folder for the label set"):
        LabelWriter(folder / "labels.jsonl")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_set(tmp_path / "set")
    before = (folder / "labels.jsonl").read_bytes()
    write, calls = os.write, iter(range(10))

    def fill(descriptor: int, data: Any) -> int:
        if next(calls):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:20])

    with LabelWriter(folder) as writer:
        monkeypatch.setattr(os, "write", fill)
        with pytest.raises(StoreError, match=r"No space left on device\. What was there before is safe"):
            writer.append([label_of(3, 9)])
        monkeypatch.undo()
        assert (folder / "labels.jsonl").read_bytes() == before
        writer.append([label_of(3, 9)])
    assert read_label_set(folder).labels["city", 3, 9].counts == mask_of()
    assert SIZE == (60, 80)
