from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from roadmask.engines.instances import Instances
from roadmask.engines.masks import MASK_SIDE, BoxMasks, RleMasks
from roadmask.streaming.frames import Frame
from roadmask.streaming.sinks import drawing
from roadmask.streaming.sinks.drawing import draw_overlay, track_colour
from roadmask.streaming.sinks.overlay import OverlayVideo, Trails, format_time, heading_of
from roadmask.streaming.sinks.sink import CameraDescription, TrackedFrame
from roadmask.tracking import LostTracks, Tracks, TrackState

NAMES = {1: "pedestrian", 3: "car"}
GREY = np.full((540, 960, 3), 96, np.uint8)
MS = 1_000_000


def tracks_of(
    *boxes: tuple[float, float, float, float],
    ids: tuple[int, ...] | None = None,
    states: tuple[int, ...] | None = None,
    size: tuple[int, int] = (540, 960),
    masks: str = "rle",
) -> Tracks:
    """Tracks whose masks fill their boxes."""
    count = len(boxes)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    kept: BoxMasks | RleMasks | None = None
    if masks == "rle":
        dense = np.zeros((count, *size), np.uint8)
        for image, (x1, y1, x2, y2) in zip(dense, array.astype(int), strict=True):
            image[max(y1, 0) : y2, max(x1, 0) : x2] = 1
        kept = RleMasks.from_dense(dense, size)
    elif masks == "box":
        kept = BoxMasks(np.ones((count, MASK_SIDE, MASK_SIDE), np.float32), array, size)
    labels = np.full(count, 3, np.int64)
    instances = Instances(size, array, np.full(count, 0.9, np.float32), labels, kept)
    nothing = np.zeros(0, np.int64)
    return Tracks(
        instances,
        np.array(ids if ids is not None else range(1, count + 1), np.int64),
        np.array(states if states is not None else [TrackState.CONFIRMED] * count, np.uint8),
        np.zeros(count, np.int64),
        np.zeros((count, 2), np.float32),
        LostTracks(nothing, nothing, np.zeros((0, 4), np.float32), nothing),
    )


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


class TestDrawing:
    def test_a_propagated_instance_has_a_dashed_outline(self) -> None:
        found = tracks_of((200, 200, 300, 300))
        carried = replace(found, instances=replace(found.instances, since_detected_ns=np.array([40 * MS])))
        whole, dashed = (draw_overlay(GREY, each, NAMES)[200:300, 200] for each in (found, carried))
        edge = np.abs(whole.astype(int) - track_colour(1)).sum(axis=1) < 60
        kept = np.abs(dashed.astype(int) - track_colour(1)).sum(axis=1) < 60
        assert edge.mean() > 0.9
        assert 0.3 < kept.mean() < 0.7
        np.testing.assert_array_equal(
            draw_overlay(GREY, found, NAMES)[250, 250], draw_overlay(GREY, carried, NAMES)[250, 250]
        )

    def test_the_frame_itself_is_not_touched(self) -> None:
        image = GREY.copy()
        image.setflags(write=False)  # as images from another process are
        drawn = draw_overlay(image, tracks_of((100, 100, 200, 200)), NAMES, heading="front")
        assert drawn.dtype == np.uint8
        assert drawn.shape == image.shape
        assert changed(image, drawn).any()
        np.testing.assert_array_equal(image, GREY)

    @pytest.mark.parametrize("masks", ["rle", "box", "none"])
    def test_inside_is_tinted_towards_the_colour_and_outside_is_left_alone(self, masks: str) -> None:
        drawn = draw_overlay(GREY, tracks_of((400, 200, 500, 300), ids=(7,), masks=masks), NAMES)
        colour = np.array(track_colour(7))
        inside = drawn[250, 450].astype(int)
        assert (np.sign(inside - 96) == np.sign(colour - 96)).all()
        touched = changed(GREY, drawn)
        assert touched[205:295, 405:495].all()
        touched[160:340, 380:620] = False  # the mask, its outline and its label
        assert not touched.any()

    def test_the_outline_is_the_pure_colour(self) -> None:
        drawn = draw_overlay(GREY, tracks_of((400, 200, 500, 300), ids=(7,)), NAMES)
        np.testing.assert_allclose(drawn[250, 400], track_colour(7), atol=40)

    def test_a_mask_that_spans_whole_columns(self) -> None:
        drawn = draw_overlay(GREY, tracks_of((10, 0, 20, 540), (800, 0, 960, 540)), NAMES)
        touched = changed(GREY, drawn)
        assert touched[:, 12:18].all()
        assert touched[:, 805:].all()
        assert not touched[100:, 200:700].any()

    def test_holes_are_not_filled(self) -> None:
        dense = np.zeros((1, 540, 960), np.uint8)
        dense[0, 100:400, 100:400] = 1
        dense[0, 200:300, 200:300] = 0
        tracks = tracks_of((100, 100, 400, 400))
        ring = Instances(
            (540, 960),
            tracks.instances.boxes,
            tracks.instances.scores,
            tracks.instances.category_ids,
            RleMasks.from_dense(dense, (540, 960)),
        )
        drawn = draw_overlay(GREY, replace_instances(tracks, ring), NAMES)
        assert changed(GREY, drawn)[150, 150]
        assert not changed(GREY, drawn)[250, 250]

    def test_unsure_instances_are_outlined_thinly_and_in_grey_only(self) -> None:
        boxes = ((100, 100, 200, 200), (300, 100, 400, 200))
        tracks = tracks_of(*boxes, ids=(4, 0), states=(TrackState.TENTATIVE, TrackState.TENTATIVE))
        drawn = draw_overlay(GREY, tracks, NAMES)
        touched = changed(GREY, drawn)
        assert touched.any()
        pixels = drawn[touched]
        assert (pixels == pixels[:, :1]).all()
        assert not touched[110:190, 110:190].any()
        assert not touched[:90].any()  # no label

    @pytest.mark.parametrize(
        "box",
        [
            (0, 0, 60, 40),  # corner: no room above
            (900, 500, 960, 540),  # the other corner
            (0, 0, 960, 540),  # everything
            (-30, -20, 30, 30),  # reaches out
            (400, 300, 400, 300),  # no area
            (400, 300, 401, 301),  # one pixel
        ],
    )
    @pytest.mark.parametrize(("size", "whole"), [((540, 960), True), ((48, 64), True), ((8, 8), False)])
    def test_labels_stay_inside_whatever_the_box(
        self,
        box: tuple[float, float, float, float],
        size: tuple[int, int],
        whole: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        places: list[np.ndarray] = []
        write = drawing._draw_text
        monkeypatch.setattr(drawing, "_draw_text", lambda *given: places.append(write(*given)) or places[-1])
        height, width = size
        scaled = tuple(np.array(box) * (width / 960, height / 540, width / 960, height / 540))
        image = np.full((height, width, 3), 96, np.uint8)
        drawn = draw_overlay(image, tracks_of(scaled, size=size), NAMES)
        assert len(places) == whole, "one label where there is room for its letters, else none"
        monkeypatch.setattr(drawing, "_draw_text", lambda *_: np.zeros(4, np.int64))
        unlabelled = draw_overlay(image, tracks_of(scaled, size=size), NAMES)
        written = changed(unlabelled, drawn)
        for left, top, right, bottom in (place.tolist() for place in places):
            assert left >= 0
            assert top >= 0
            assert right <= width
            assert bottom <= height, "no letter is cut off"
            assert written[top:bottom, left:right].mean() > 0.9
            written[top:bottom, left:right] = False
        assert not written.any()

    def test_labels_do_not_hide_each_other(self) -> None:
        apart = tracks_of((100, 100, 300, 300))
        alone = draw_overlay(GREY, apart, NAMES)
        both = draw_overlay(GREY, tracks_of((100, 100, 300, 300), (101, 101, 300, 299)), NAMES)
        above = slice(70, 98)  # where the label of the nearer one is
        np.testing.assert_array_equal(both[above, 100:160], alone[above, 100:160])

    def test_labels_grow_with_the_image(self) -> None:
        small = draw_overlay(GREY, tracks_of((400, 200, 600, 400)), NAMES)
        large_image = np.full((1080, 1920, 3), 96, np.uint8)
        large = draw_overlay(large_image, tracks_of((800, 400, 1200, 800), size=(1080, 1920)), NAMES)
        label_small = changed(GREY, small)[:198].sum()
        label_large = changed(large_image, large)[:396].sum()
        assert 3 < label_large / label_small < 5

    def test_heading_counts_what_is_confirmed(self) -> None:
        two = tracks_of((100, 100, 200, 200), (300, 100, 400, 200))
        one_sure = tracks_of(
            (100, 100, 200, 200), (300, 100, 400, 200), states=(TrackState.CONFIRMED, TrackState.TENTATIVE)
        )
        one = tracks_of((100, 100, 200, 200))
        line = slice(0, 40)
        drawn = {
            name: draw_overlay(GREY, t, NAMES, heading="front")[line]
            for name, t in {"two": two, "one_sure": one_sure, "one": one}.items()
        }
        np.testing.assert_array_equal(drawn["one_sure"], drawn["one"])
        assert changed(drawn["two"], drawn["one"]).any()
        assert not changed(GREY, draw_overlay(GREY, tracks_of(), NAMES)).any()

    def test_trails_are_drawn_for_what_moved(self) -> None:
        tracks = tracks_of((400, 200, 500, 300), ids=(7,))
        plain = draw_overlay(GREY, tracks, NAMES)
        moved = draw_overlay(GREY, tracks, NAMES, trails={7: [(200.0, 400.0), (300.0, 350.0), (450.0, 300.0)]})
        still = draw_overlay(GREY, tracks, NAMES, trails={7: [(450.0, 300.0)] * 9, 8: [(0.0, 0.0), (900.0, 500.0)]})
        assert changed(plain, moved)[340:400, 190:320].any()
        np.testing.assert_array_equal(plain, still)


def replace_instances(tracks: Tracks, instances: Instances) -> Tracks:
    return Tracks(instances, tracks.track_ids, tracks.states, tracks.ages_ns, tracks.velocities, tracks.lost)


# Machado, Oliveira and Fernandes 2009, severity 1: what is left of linear RGB.
COLOUR_VISION = {
    "full": np.eye(3),
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_eight_tracks_in_a_row_are_told_apart_by_everyone(vision: str) -> None:
    colours = np.array([track_colour(track_id) for track_id in range(8)], np.float32) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(COLOUR_VISION[vision]).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(encoded.astype(np.float32)[None], cv2.COLOR_RGB2Lab)[0]
    assert min(np.linalg.norm(one - two) for one, two in combinations(lab, 2)) > 12  # 2 is just noticeable


def test_ids_keep_their_colours_and_24_have_their_own() -> None:
    assert len({track_colour(track_id) for track_id in range(24)}) == 24
    assert track_colour(10**12) == track_colour(10**12)


@pytest.mark.parametrize(
    ("timestamp_ns", "clock", "text"),
    [
        (8_800 * MS, "media", "0:08.80"),
        (0, "media", "0:00.00"),
        (3_723_450 * MS, "media", "1:02:03.45"),
        (1_767_225_600_000 * MS, "unix", "2026-01-01 00:00:00 UTC"),
        (59_999 * MS, "monotonic", "0:59.99"),
    ],
)
def test_times_as_people_read_them(timestamp_ns: int, clock: str, text: str) -> None:
    assert format_time(timestamp_ns, clock) == text
    assert heading_of(Frame("rear", 0, 0, timestamp_ns, clock, GREY)) == f"rear    {text}"


def test_trails_reach_back_one_second() -> None:
    trails = Trails()
    for i in range(15):
        latest = trails.update(tracks_of((10 * i, 0, 10 * i + 20, 50)), 100 * i * MS)
    assert latest == {1: [(10 * i + 10, 50) for i in range(4, 15)]}
    assert trails.update(tracks_of(), 10_000 * MS) == {}


class TestOverlayVideo:
    def frame(self, index: int, timestamp_ns: int, epoch: int = 0, size: tuple[int, int] = (96, 160)) -> Frame:
        return Frame("front", epoch, index, timestamp_ns, "media", np.full((*size, 3), 96, np.uint8))

    def opened(self, path: Path) -> OverlayVideo:
        overlay = OverlayVideo(path)
        overlay.open("front", CameraDescription(NAMES))
        return overlay

    def shown(self, path: Path) -> list[tuple[int, np.ndarray]]:
        with av.open(str(path)) as container:
            frames = container.decode(video=0)
            return [(round(frame.time * 1000), frame.to_ndarray(format="rgb24")) for frame in frames]

    def test_frames_are_shown_at_their_times_with_their_tracks(self, tmp_path: Path) -> None:
        times = [0, 40, 45, 500]
        overlay = self.opened(tmp_path / "o.mp4")
        for index, time in enumerate(times):
            tracks = tracks_of((40, 30, 120, 80), size=(96, 160))
            overlay.write(TrackedFrame(self.frame(index, time * MS), tracks))
        overlay.close(len(times))
        shown = self.shown(tmp_path / "o.mp4")
        assert [time for time, _ in shown] == times
        assert np.abs(shown[2][1][60, 80].astype(int) - 96).max() > 20

    def test_a_new_epoch_goes_on_after_a_second_whatever_its_clock_and_size(self, tmp_path: Path) -> None:
        overlay = self.opened(tmp_path / "o.mp4")
        for index, time in enumerate((7000, 7040)):
            overlay.write(TrackedFrame(self.frame(index, time * MS), tracks_of(size=(96, 160))))
        for index, time in enumerate((50, 90)):
            frame = self.frame(2 + index, time * MS, epoch=1, size=(96, 96))
            overlay.write(TrackedFrame(frame, tracks_of(size=(96, 96))))
        overlay.close(4)
        shown = self.shown(tmp_path / "o.mp4")
        assert [time for time, _ in shown] == [0, 40, 1040, 1080]
        square = shown[-1][1]
        assert square.shape == (96, 160, 3)
        np.testing.assert_allclose(square[80, 10], 0, atol=6)  # black bars at the sides
        np.testing.assert_allclose(square[80, 80], 96, atol=6)

    def test_aborting_leaves_nothing(self, tmp_path: Path) -> None:
        overlay = self.opened(tmp_path / "o.mp4")
        for index in range(3):
            overlay.write(TrackedFrame(self.frame(index, index * 40 * MS), tracks_of(size=(96, 160))))
        overlay.abort()
        assert list(tmp_path.iterdir()) == []
