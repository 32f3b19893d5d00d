"""What is exported is read back by the libraries of those who consume it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from roadmask.cli import main
from roadmask.engines.errors import EngineError, InputError
from roadmask.streaming.formats.export import ExportJob, export_drive
from roadmask.streaming.frames import Frame
from roadmask.streaming.store import StoredFrame, open_drive
from support.stores import record, street, tracks_of

SIZE = (24, 40)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A street of 20 frames; the last frame adds a car without a track and a truck that lies over another car."""
    frames = street(20)
    boxes = [(2, 2, 14, 12), (8, 6, 20, 16), (25, 3, 35, 9)]
    odd = tracks_of(SIZE, boxes, [7, 8, 0], category_ids=[3, 3, 1], scores=[0.9, 0.8, 0.7])
    return record(tmp_path / "drive.zarr", [*frames, odd])


def stored(drive: Path) -> list[StoredFrame]:
    front = open_drive(drive)["front"]
    return [front.frame(position) for position in range(len(front))]


def export(drive: Path, name: str, out: Path | str) -> Path:
    export_drive(ExportJob(open_drive(drive)), name, str(out))
    return Path(out)


def test_coco_loads_in_pycocotools_with_the_bytes_of_the_store(drive: Path, tmp_path: Path) -> None:
    coco = COCO(str(export(drive, "coco", tmp_path / "a.json")))
    frames = stored(drive)
    assert len(coco.getImgIds()) == len(frames) == 21
    for image_id, frame in enumerate(frames, 1):
        assert coco.loadImgs(image_id)[0]["frame_index"] == frame.frame_index
        found = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        assert tuple(each["segmentation"]["counts"].encode() for each in found) == frame.instances.masks.counts
        assert [each["track_id"] for each in found] == frame.track_ids.tolist()
        for each in found:
            assert coco.annToMask(each).sum() == each["area"]


def test_jsonl_round_trip(drive: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in export(drive, "rle-jsonl", tmp_path / "a.jsonl").read_text().splitlines()]
    expected = [
        (frame.frame_index, int(track_id), counts, box.tolist())
        for frame in stored(drive)
        for track_id, counts, box in zip(
            frame.track_ids, frame.instances.masks.counts, frame.instances.boxes, strict=True
        )
    ]
    assert [(row["frame_index"], row["track_id"], row["counts"].encode(), row["box"]) for row in rows] == expected
    assert {row["class"] for row in rows} == {"car", "pedestrian"}


def test_parquet_opens_in_pandas(drive: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs roadmask[export]")
    pandas = pytest.importorskip("pandas", reason="needs the dev group")
    table = pandas.read_parquet(export(drive, "parquet", tmp_path / "a.parquet"))
    frames = stored(drive)
    assert len(table) == sum(map(len, frames))
    assert table["rle"].tolist() == [counts for frame in frames for counts in frame.instances.masks.counts]
    np.testing.assert_array_equal(
        table[["x1", "y1", "x2", "y2"]].to_numpy(), np.concatenate([frame.instances.boxes for frame in frames])
    )
    assert table["track_id"].tolist() == [each for frame in frames for each in frame.track_ids]
    assert table["area"].tolist() == [
        int(coco_mask.area({"size": list(SIZE), "counts": counts})) for counts in table["rle"]
    ]


def test_kitti_mots_loads_in_trackeval_without_overlap(drive: Path, tmp_path: Path) -> None:
    pytest.importorskip("trackeval", reason="needs roadmask[eval]")
    from roadmask.evaluation.tracks.track_measures import measure_tracks

    folder = export(drive, "kitti-mots", tmp_path / "mots")
    rows = [line.split() for line in (folder / "front.txt").read_text().splitlines()]
    assert "0" not in {row[1] for row in rows}
    last = [row for row in rows if row[0] == "20"]
    dense = [coco_mask.decode({"size": list(SIZE), "counts": row[5].encode()}) for row in last]
    assert sum(dense).max() == 1
    assert [int(mask.sum()) for mask in dense] == [120, 120 - 36], "the higher score keeps its pixels"
    (folder / "front.txt").rename(folder / "0000.txt")
    for measured in measure_tracks(folder, folder, "kitti-mots"):
        assert measured.values["HOTA"] == pytest.approx(100)


def test_cvat_tracks_are_the_masks(drive: Path, tmp_path: Path) -> None:
    root = ET.parse(export(drive, "cvat", tmp_path / "a.xml")).getroot()  # noqa: S314 - our own file
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "21"
    assert root.findtext("meta/task/original_size/width") == "40"
    labels = {each.text for each in root.iterfind("meta/task/labels/label/name")}
    front = open_drive(drive)["front"]
    assert [int(track.get("id")) for track in root.iter("track")] == [1, 2, 7, 8]
    for track in root.iter("track"):
        assert track.get("label") in labels
        view = front.track(int(track.get("id")))
        shown = [shape for shape in track if shape.get("outside") == "0"]
        assert [int(shape.get("frame")) for shape in shown] == [seen.frame_index for seen in view]
        assert all(int(shape.get("frame")) < 21 for shape in track), "CVAT refuses a frame that the video does not have"
        assert (track[-1].get("outside") == "1") == (view.sightings[-1].frame_index < 20)
        for shape, seen in zip(shown, view, strict=True):
            points = [float(number) for pair in shape.get("points").split(";") for number in pair.split(",")]
            polygon = coco_mask.merge(coco_mask.frPyObjects([points], *SIZE))
            assert coco_mask.iou([polygon], seen.mask.coco, [False])[0, 0] > 0.9


def test_cvat_loads_in_datumaro(drive: Path, tmp_path: Path) -> None:
    dataset = pytest.importorskip("datumaro.components.dataset", reason="needs datumaro: make bench-setup").Dataset
    loaded = dataset.import_from(str(export(drive, "cvat", tmp_path / "a.xml")), "cvat")
    items = {item.attributes["frame"]: item for item in loaded}
    assert sorted(items) == [frame.frame_index for frame in stored(drive)]
    for frame in stored(drive):
        shown = {each.attributes["track_id"]: each for each in items[frame.frame_index].annotations}
        shown = {track_id: each for track_id, each in shown.items() if not each.attributes["outside"]}
        tracked = frame.track_ids > 0
        assert sorted(shown) == sorted(frame.track_ids[tracked].tolist())
        for track_id, area in zip(frame.track_ids[tracked], frame.instances.masks.area[tracked], strict=True):
            assert shown[track_id].get_area() == pytest.approx(area, rel=0.15)


@pytest.fixture
def filmed(tmp_path: Path) -> tuple[Path, list[Frame], tuple[int, int, int, int]]:
    """A store whose images are those of the sample drive; a car lies over its middle."""
    from roadmask.streaming.sources import open_camera

    source = open_camera("front", ["synthetic:?seconds=0.2"])
    described = source.describe()
    frames = list(source)
    height, width = frames[0].image_size
    box = (width // 4, height // 4, width // 2, height // 2)
    tracks = [tracks_of((height, width), [box], [1]) for _ in frames]
    return record(tmp_path / "filmed.zarr", tracks, sources={"front": described}), frames, box


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        assert [stream.type for stream in video.streams] == ["video"]
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def detail(image: np.ndarray, box: tuple[int, int, int, int]) -> float:
    x1, y1, x2, y2 = box
    return float(cv2.Laplacian(cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def test_video_draws_or_anonymizes(filmed, tmp_path: Path) -> None:
    store, frames, box = filmed
    drawn = frames_of(export(store, "video", tmp_path / "drawn.mp4"))
    export_drive(ExportJob(open_drive(store), anonymize=True), "video", str(tmp_path / "blurred.mp4"))
    blurred = frames_of(tmp_path / "blurred.mp4")
    assert len(drawn) == len(blurred) == len(frames)
    outside = np.s_[frames[0].image_size[0] * 3 // 4 :, :]
    for frame, plain, public in zip(frames, drawn, blurred, strict=True):
        assert np.abs(plain.astype(int) - frame.image)[box[1] : box[3], box[0] : box[2]].mean() > 10
        assert detail(public, box) < 0.1 * detail(frame.image, box)
        assert np.abs(public.astype(int) - frame.image)[outside].mean() < 6, "the rest of the image stays"


@pytest.mark.parametrize("whole_boxes", [False, True])
def test_anonymized_pixels_hold_nothing_of_the_original(whole_boxes: bool) -> None:
    from roadmask.streaming.formats.export.anonymize import anonymized

    size = (120, 160)
    tracks = tracks_of(size, [(40, 30, 100, 90)], [0], category_ids=[1])
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    before = image.copy()
    hidden = anonymized(image, tracks.instances, whole_boxes=whole_boxes)
    np.testing.assert_array_equal(image, before, "the image given is not changed")
    covered = np.s_[28:92, 38:102]  # a little more than the mask
    assert hidden[covered].std() < 0.2 * image[covered].std()
    correlation = np.corrcoef(hidden[covered].ravel(), image[covered].ravel())[0, 1]
    assert abs(correlation) < 0.2
    np.testing.assert_array_equal(hidden[:15], image[:15], "the rest stays")


def test_rerun_verifies_and_holds_every_frame(filmed, tmp_path: Path) -> None:
    rr = pytest.importorskip("rerun", reason="needs roadmask[export]")
    store, frames, _ = filmed
    out = tmp_path / "a.rrd"
    export_drive(ExportJob(open_drive(store), anonymize=True), "rerun", str(out))
    chunks = list(rr.chunk.RrdReader(out).stream())
    rows: dict[str, int] = {}
    for chunk in chunks:
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    for part in ("boxes", "id_map", "image"):
        assert rows[f"/front/{part}"] == len(frames)
    timelines = {name for chunk in chunks for name in chunk.timeline_names}
    assert {"frame", "time"} <= timelines


def test_another_source_is_refused(filmed, tmp_path: Path) -> None:
    store, _, _ = filmed
    job = ExportJob(open_drive(store), sources={"front": ("synthetic:?seconds=0.2&seed=9",)})
    with pytest.raises(InputError, match="the source that camera 'front' was recorded from"):
        export_drive(job, "video", str(tmp_path / "a.mp4"))
    assert not list(tmp_path.glob("*.mp4*"))
    assert not list(tmp_path.glob(".*partial*"))


def test_images_that_are_nowhere(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--source front=PATH"):
        export(drive, "video", tmp_path / "a.mp4")


def test_urls(drive: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs roadmask[export]")
    export_drive(ExportJob(open_drive(drive)), "rle-jsonl", "memory://exports/a.jsonl")
    try:
        local = export(drive, "rle-jsonl", tmp_path / "a.jsonl").read_bytes()
        assert fsspec.filesystem("memory").cat_file("/exports/a.jsonl") == local
        with pytest.raises(InputError, match="already exists"):
            export_drive(ExportJob(open_drive(drive)), "rle-jsonl", "memory://exports/a.jsonl")
        with pytest.raises(InputError, match="that is a folder"):
            export_drive(ExportJob(open_drive(drive)), "kitti-mots", "memory://exports/mots")
    finally:
        fsspec.filesystem("memory").rm("/exports", recursive=True)
    export_drive(ExportJob(open_drive(drive)), "rle-jsonl", (tmp_path / "b.jsonl").as_uri())
    assert (tmp_path / "b.jsonl").read_bytes() == local


def test_nothing_is_overwritten_and_nothing_half_written_stays(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        export(drive, "coco", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == "mine"
    failing: Callable[..., None] = lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))  # noqa: E731
    monkeypatch.setattr("roadmask.streaming.formats.export.coco._write_list", failing)
    with pytest.raises(Exception, match="No space left") as full:
        export(drive, "coco", tmp_path / "b.json")
    assert full.value.exit_code == 4
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "drive.zarr"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "coco", "a.json", "--anonymize"], "no images to anonymize"),
        (["--to", "coco", "a.txt"], "ends in .json"),
        (["--to", "video", "a.mp4", "--whole-boxes"], "need --anonymize"),
        (["--to", "coco", "a.json", "--camera", "rear"], "no camera 'rear'"),
    ],
)
def test_what_cannot_be_is_refused(
    drive: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(drive.parent)
    monkeypatch.setattr(sys, "argv", ["roadmask", "export", str(drive), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_missing_package_says_what_to_install(drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadmask.streaming.formats.export.output.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"pip install 'roadmask\[export\]'"):
        export(drive, "parquet", tmp_path / "a.parquet")
