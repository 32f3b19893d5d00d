"""CVAT XML 1.1 "for images": masks as run lengths, ids over time as the attribute `track_id`.

CVAT's tracks cannot hold masks, and polygons in them have neither holes nor further parts. So a label is a mask of its
image, and its object is an attribute, which CVAT shows and keeps. Files "for video" are read as well.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np

from roadmask.engines.errors import InputError
from roadmask.engines.masks import RleMasks
from roadmask.training.labels.formats.interchange import (
    ForeignImage,
    ForeignLabel,
    ForeignLabels,
    Placed,
    foreign_image,
    image_name,
)
from roadmask.training.labels.formats.polygons import mask_of_rings
from roadmask.training.labels.reading import LabelSet
from roadmask.training.labels.records import Label

_TRACK_ID = "track_id"


def write(labels: LabelSet, path: Path) -> None:
    """Writes an `<image>` for each image, with a `<mask>` for each label."""
    with path.open("w", encoding="utf-8") as file:
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        xml.startElement("annotations", AttributesImpl({}))
        _text(xml, "version", "1.1")
        _write_meta(xml, labels)
        for number, (key, image) in enumerate(labels.images.items()):
            height, width = image.size
            about = {"id": str(number), "name": image_name(image), "width": str(width), "height": str(height)}
            xml.startElement("image", AttributesImpl(about))
            for label in labels.by_image[key]:
                _write_mask(xml, label, image.size)
            xml.endElement("image")
            xml.ignorableWhitespace("\n")
        xml.endElement("annotations")
        xml.endDocument()


def _write_meta(xml: XMLGenerator, labels: LabelSet) -> None:
    for name in ("meta", "task"):
        xml.startElement(name, AttributesImpl({}))
    _text(xml, "name", labels.path.resolve().name)
    _text(xml, "size", str(len(labels.images)))
    _text(xml, "mode", "annotation")
    xml.startElement("labels", AttributesImpl({}))
    for class_name in labels.description.classes:
        xml.startElement("label", AttributesImpl({}))
        _text(xml, "name", class_name)
        for name in ("attributes", "attribute"):
            xml.startElement(name, AttributesImpl({}))
        attribute = {"name": _TRACK_ID, "mutable": "False", "input_type": "number", "default_value": "0"}
        for name, value in (attribute | {"values": "0\n2147483647\n1"}).items():
            _text(xml, name, value)
        for name in ("attribute", "attributes", "label"):
            xml.endElement(name)
    for name in ("labels", "task", "meta"):
        xml.endElement(name)
    xml.ignorableWhitespace("\n")


def _write_mask(xml: XMLGenerator, label: Label, size: tuple[int, int]) -> None:
    crop = RleMasks((label.counts,), size).crop(0)
    height, width = crop.inside.shape
    # CVAT counts row by row within the box, outside first.
    flat = np.concatenate([[False], crop.inside.ravel()])
    edges = np.flatnonzero(np.diff(flat)).tolist()
    counts = np.diff([0, *edges, height * width]).tolist()
    about = {
        "label": label.class_name,
        "source": "manual" if label.state.decided else "auto",
        "occluded": "0",
        "rle": ", ".join(map(str, counts)),
        "left": str(crop.left),
        "top": str(crop.top),
        "width": str(width),
        "height": str(height),
        "z_order": "0",
    }
    xml.startElement("mask", AttributesImpl(about))
    xml.startElement("attribute", AttributesImpl({"name": _TRACK_ID}))
    xml.characters(str(label.object))
    xml.endElement("attribute")
    xml.endElement("mask")


def _text(xml: XMLGenerator, name: str, value: str) -> None:
    xml.startElement(name, AttributesImpl({}))
    xml.characters(value)
    xml.endElement(name)


def read(path: Path, drive: str) -> ForeignLabels:
    """Reads masks and polygons of images, and polygons of tracks; polygons of one image and track are one object.

    Args:
        path: the file.
        drive: drive of images whose names have none.

    Raises:
        InputError: it is no CVAT XML, or has shapes that are no masks; the message names the first one.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - expat expands no external entities, and limits internal ones
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    except ET.ParseError as error:
        raise InputError(f"expected {path} to be CVAT XML, got something else ({error}).") from error
    if root.tag != "annotations":
        raise InputError(f"expected {path} to be CVAT XML with <annotations>, got <{root.tag}>.")
    images: list[ForeignImage] = []
    labels: list[ForeignLabel] = []
    for element in root.iter("image"):
        with Placed(path, f"image {element.get('name')}"):
            size = int(element.attrib["height"]), int(element.attrib["width"])
            images.append(foreign_image(element.attrib["name"], size, drive))
            labels += _labels_of_image(element, len(images) - 1, size)
    if any(True for _ in root.iter("track")):
        with Placed(path, "meta"):
            size = int(_of(root, "original_size/height")), int(_of(root, "original_size/width"))
            first = len(images)
            images += [ForeignImage(f"{drive}/{n:06d}", size, drive, n) for n in range(int(_of(root, "size")))]
        for element in root.iter("track"):
            with Placed(path, f"track {element.get('id')}"):
                labels += _labels_of_track(element, first, len(images), size)
    return ForeignLabels(tuple(images), tuple(labels))


def _of(root: ET.Element, name: str) -> str:
    found = root.findtext(f"meta/task/{name}") or root.findtext(f"meta/job/{name}")
    if found is None:
        raise KeyError(name)
    return found


def _labels_of_image(element: ET.Element, image: int, size: tuple[int, int]) -> list[ForeignLabel]:
    found: list[ForeignLabel] = []
    parts: dict[tuple[int, int | None, str], list[list[list[float]]]] = defaultdict(list)
    for shape in element:
        attributes = {each.get("name"): (each.text or "").strip() for each in shape.iter("attribute")}
        number = int(attributes.get(_TRACK_ID) or 0) or None
        if shape.tag == "mask":
            found.append(ForeignLabel(image, number, shape.attrib["label"], _mask(shape, size)))
        elif shape.tag == "polygon":
            group = number or int(shape.get("group_id") or 0) or -len(parts) - 1
            parts[group, number, shape.attrib["label"]].append(_points(shape))
        else:
            raise ValueError(f"expected masks and polygons, got <{shape.tag}>: draw a mask, or leave it out")
    for (_, number, class_name), rings in parts.items():
        found.append(ForeignLabel(image, number, class_name, mask_of_rings(rings, size)))
    return found


def _labels_of_track(element: ET.Element, first: int, end: int, size: tuple[int, int]) -> list[ForeignLabel]:
    found = []
    for shape in element:
        if shape.get("outside") == "1":
            continue
        if shape.tag != "polygon":
            raise ValueError(f"expected polygons in a track, got <{shape.tag}>: export masks as images")
        image = first + int(shape.attrib["frame"])
        if image >= end:
            raise ValueError(f"frame {shape.attrib['frame']} is after the last one of the task")
        counts = mask_of_rings([_points(shape)], size)
        # ids of CVAT's tracks begin at 0
        found.append(ForeignLabel(image, int(element.attrib["id"]) or 2**31 - 1, element.attrib["label"], counts))
    return found


def _points(shape: ET.Element) -> list[list[float]]:
    return [[float(value) for value in pair.split(",")] for pair in shape.attrib["points"].split(";")]


def _mask(shape: ET.Element, size: tuple[int, int]) -> bytes:
    left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
    counts = [int(count) for count in shape.attrib["rle"].split(",")]
    if min(counts) < 0 or sum(counts) != width * height:
        raise ValueError(f"expected run lengths that fill {width} x {height} pixels, got {sum(counts)} pixels")
    if min(left, top) < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError(f"expected a mask within {size[1]} x {size[0]} pixels")
    dense = np.zeros((1, *size), np.bool_)
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    dense[0, top : top + height, left : left + width] = values.reshape(height, width)
    return RleMasks.from_dense(dense, size).counts[0]
