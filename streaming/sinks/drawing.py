"""Draws tracks onto their image: masks, labels, trails and a heading with the number of tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from roadmask.engines.run_lengths import Crop
from roadmask.engines.segmenter import Image
from roadmask.tracking import Tracks, TrackState

Colour = tuple[int, int, int]

# The palette of Okabe and Ito, which people with any common kind of colour blindness can tell apart; a little brighter,
# for grey streets, and ordered so that neighbouring ids differ in hue and in lightness.
_COLOURS: tuple[Colour, ...] = (
    (255, 166, 0),
    (86, 190, 255),
    (0, 165, 118),
    (213, 70, 40),
    (250, 236, 72),
    (70, 90, 230),
    (255, 140, 205),
    (190, 255, 190),
)
_SHADES = ((0, 0.0), (255, 0.4), (0, 0.3))
"""Grey level mixed into the colours, and its share: pure, light and dark, so that colours repeat after 24 ids."""
_UNSURE: Colour = (190, 190, 190)
_FILL = 0.42
_SMOOTHING = 5
"""Number of points of a trail that are averaged into one; odd."""
_INK, _PAPER = (255, 255, 255), (18, 20, 24)

TrailPoints = Mapping[int, Sequence[tuple[float, float]]]
"""Track id -> its past positions (x, y) in pixels, oldest first."""


def track_colour(track_id: int) -> Colour:
    """Returns the RGB colour of a track; an id has the same colour everywhere."""
    colour = _COLOURS[track_id % len(_COLOURS)]
    grey, share = _SHADES[track_id // len(_COLOURS) % len(_SHADES)]
    red, green, blue = (round(channel * (1 - share) + grey * share) for channel in colour)
    return red, green, blue


def draw_overlay(
    image: Image,
    tracks: Tracks,
    class_names: Mapping[int, str],
    *,
    heading: str = "",
    trails: TrailPoints | None = None,
) -> Image:
    """Draws tracks onto an image.

    Confirmed tracks are filled and labelled in the colour of their id; tentative instances and those without a track
    get a thin grey outline. The outline of a propagated instance is dashed. Line widths and font sizes scale with the
    image.

    Args:
        image: uint8 (H, W, 3) RGB, not changed.
        tracks: the tracks in the image.
        class_names: category id -> name.
        heading: text at the top left, followed by the number of tracks of each class; no such line if empty.
        trails: past positions of tracks; drawn for the confirmed tracks in this image.

    Returns:
        A new image.
    """
    canvas = image.copy()
    style = _Style.of(canvas)
    boxes = tracks.instances.boxes
    confirmed = (tracks.states == TrackState.CONFIRMED) & (tracks.track_ids > 0)
    nearest_last = np.argsort(boxes[:, 3], kind="stable")
    masks = _crops(tracks)
    for i in nearest_last:
        if not confirmed[i]:
            _draw_contours(canvas, masks[i], _UNSURE, style.thin)
    propagated = tracks.instances.propagated
    for i in nearest_last[confirmed[nearest_last]]:
        colour = track_colour(int(tracks.track_ids[i]))
        _draw_mask(canvas, masks[i], colour, style, dashed=bool(propagated[i]))
    if trails:
        for i in np.flatnonzero(confirmed):
            track_id = int(tracks.track_ids[i])
            _draw_trail(canvas, trails.get(track_id, ()), track_colour(track_id), style)
    taken: list[NDArray[np.int64]] = []
    if heading:
        taken.append(_draw_heading(canvas, heading, tracks[confirmed], class_names, style))
    for i in nearest_last[confirmed[nearest_last]][::-1]:
        track_id, label = int(tracks.track_ids[i]), int(tracks.instances.category_ids[i])
        name = class_names.get(label, f"class {label}")
        metres = np.nan if tracks.distances is None else float(tracks.distances.metres[i])
        far = "" if np.isnan(metres) else f"  {metres:.0f} m" if metres >= 10 else f"  {metres:.1f} m"
        text = f"{name} {track_id}  {tracks.instances.scores[i]:.2f}{far}"
        _draw_label(canvas, text, str(track_id), boxes[i], track_colour(track_id), style, taken)
    return canvas


@dataclass(frozen=True)
class _Style:
    """Font size, padding and line widths in pixels, for one image size."""

    text: int
    pad: int
    line: int
    thin: int

    @classmethod
    def of(cls, image: Image) -> _Style:
        scale = min(image.shape[0] / 540, image.shape[1] / 720)
        line = max(round(1.6 * scale), 1)
        return cls(text=max(round(13 * scale), 10), pad=max(round(3 * scale), 2), line=line, thin=max(line - 1, 1))


def _crops(tracks: Tracks) -> list[Crop]:
    """Crops every mask to its box; without masks, takes the boxes themselves."""
    instances = tracks.instances
    if instances.masks is not None:
        masks = instances.masks.to_rle()
        return [masks.crop(n) for n in range(len(masks))]
    height, width = instances.image_size
    edges = np.clip(np.rint(instances.boxes), 0, (width, height, width, height)).astype(int).tolist()
    return [Crop(x1, y1, np.ones((max(y2 - y1, 0), max(x2 - x1, 0)), np.bool_)) for x1, y1, x2, y2 in edges]


def _draw_mask(canvas: Image, mask: Crop, colour: Colour, style: _Style, *, dashed: bool) -> None:
    if not mask.inside.size:
        return
    region = canvas[mask.region]
    region[:] = cv2.copyTo(cv2.LUT(region, _tint(colour)), _pixels(mask), region)
    if dashed:
        _draw_dashes(canvas, mask, colour, style)
    else:
        _draw_contours(canvas, mask, colour, style.line)


@lru_cache(maxsize=64)
def _tint(colour: Colour) -> NDArray[np.uint8]:
    """Returns the lookup table (1, 256, 3) that mixes a colour into each channel."""
    levels = np.arange(256)[:, None] * (1 - _FILL) + np.array(colour) * _FILL
    return np.rint(levels)[None].astype(np.uint8)


def _pixels(mask: Crop) -> NDArray[np.uint8]:
    """Returns a mask as uint8, 1 inside, as OpenCV expects it."""
    return np.ascontiguousarray(mask.inside).view(np.uint8)


def _draw_contours(canvas: Image, mask: Crop, colour: Colour, thickness: int) -> None:
    if not mask.inside.size:
        return
    contours, _ = cv2.findContours(
        _pixels(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1, offset=(mask.left, mask.top)
    )
    cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA)


def _draw_dashes(canvas: Image, mask: Crop, colour: Colour, style: _Style) -> None:
    contours, _ = cv2.findContours(
        _pixels(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(mask.left, mask.top)
    )
    length = 4 * style.line  # every point of a contour is a pixel further
    dashes = [points[start : start + length] for points in contours for start in range(0, len(points), 2 * length)]
    cv2.polylines(canvas, dashes, isClosed=False, color=colour, thickness=style.line, lineType=cv2.LINE_AA)


def _draw_trail(canvas: Image, points: Sequence[tuple[float, float]], colour: Colour, style: _Style) -> None:
    path = np.asarray(points, np.float64).reshape(-1, 2)
    if len(path) < 3 or np.hypot(*(path[-1] - path[0])) < 2 * style.text:  # standing still: jitter is no trail
        return
    for side in range(2):
        padded = np.pad(path[:, side], _SMOOTHING // 2, mode="edge")
        path[:, side] = np.convolve(padded, np.full(_SMOOTHING, 1 / _SMOOTHING), mode="valid")
    steps = np.rint(path * 16).astype(int).tolist()  # sixteenths of a pixel
    for i, (start, end) in enumerate(pairwise(steps), 1):
        thickness = max(round(style.line * 1.5 * i / len(steps)), 1)
        cv2.line(canvas, start, end, colour, thickness, cv2.LINE_AA, shift=4)


def _draw_heading(
    canvas: Image, heading: str, tracks: Tracks, class_names: Mapping[int, str], style: _Style
) -> NDArray[np.int64]:
    counts = Counter(tracks.instances.category_ids.tolist())
    parts = [heading, *(f"{class_names.get(label, f'class {label}')} {counts[label]}" for label in sorted(counts))]
    glyphs = _glyphs("    ".join(parts), round(style.text * 1.15))
    margin = 3 * style.pad
    return _draw_text(canvas, glyphs, margin, margin, _PAPER, 0.62, 2 * style.pad)


def _draw_label(
    canvas: Image,
    text: str,
    short: str,
    box: NDArray[np.float32],
    colour: Colour,
    style: _Style,
    taken: list[NDArray[np.int64]],
) -> None:
    """Draws a label above, below or inside its box, where it hides no other label; none if there is no room."""
    x1, y1, _, y2 = (int(edge) for edge in box)
    small = y2 - y1 < 3 * style.text
    for words in (short,) if small else (text, short):
        glyphs = _glyphs(words, style.text)
        height, width = glyphs.shape[0] + 2 * style.pad, glyphs.shape[1] + 2 * style.pad
        left = min(max(x1, 0), max(canvas.shape[1] - width, 0))
        for top in (y1 - height - 1, y2 + 1, y1 + 1):
            place = np.array([left, top, left + width, top + height])
            if top < 0 or place[3] > canvas.shape[0] or any(_overlap(place, other) for other in taken):
                continue
            taken.append(_draw_text(canvas, glyphs, left, top, colour, 0.85, style.pad))
            return


def _overlap(one: NDArray[np.int64], two: NDArray[np.int64]) -> bool:
    return bool((one[:2] < two[2:]).all() and (two[:2] < one[2:]).all())


def _draw_text(
    canvas: Image, glyphs: NDArray[np.float32], left: int, top: int, paper: Colour, opacity: float, pad: int
) -> NDArray[np.int64]:
    """Draws text on a backdrop, in the colour that contrasts with it, and returns the rectangle that it covers."""
    place = np.array([left, top, left + glyphs.shape[1] + 2 * pad, top + glyphs.shape[0] + 2 * pad])
    bottom, right = min(place[3], canvas.shape[0]), min(place[2], canvas.shape[1])
    region = canvas[top:bottom, left:right].astype(np.float32)
    region += (np.array(paper, np.float32) - region) * opacity
    luminance = float(np.dot(paper, (0.299, 0.587, 0.114)))
    ink = np.array(_PAPER if luminance > 120 else _INK, np.float32)
    inner = region[pad : pad + glyphs.shape[0], pad : pad + glyphs.shape[1]]
    coverage = glyphs[: inner.shape[0], : inner.shape[1], None]
    inner += (ink - inner) * coverage
    canvas[top:bottom, left:right] = np.rint(region)
    return place


@lru_cache(maxsize=4096)
def _glyphs(text: str, size: int) -> NDArray[np.float32]:
    """Returns the coverage of each pixel by the text, (h, w) from 0 to 1; texts of one font size have one height."""
    font = _font(size)
    _, top, _, bottom = (round(edge) for edge in font.getbbox("Agjy0"))
    width = max(round(font.getlength(text)), 1)
    paper = PillowImage.new("L", (width, bottom - top))
    ImageDraw.Draw(paper).text((0, -top), text, fill=255, font=font)
    return np.asarray(paper, np.float32) / np.float32(255)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # a Pillow built without FreeType
        raise TypeError(
            "this build of Pillow lacks FreeType, which draws text of any size: pip install --force-reinstall pillow"
        )
    return font
