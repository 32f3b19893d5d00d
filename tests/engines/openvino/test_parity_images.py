"""torchvision's numbers on twenty real images, at every network shape there is, lite and resnet50.

`make test` compares two images with the static graphs in torch. `make bars` compares all twenty with these and
with what OpenVINO makes of them, which exports and compiles a graph for each of the nine shapes: minutes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from roadmask.engines import BoxMasks, Image
from roadmask.engines.letterbox import INPUT_SIZES, Letterbox
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.static_graph import StaticDetector, StaticMasks
from roadmask.engines.networks.weights import Architecture, Weights, find_weights
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter
from roadmask.engines.torch.segmenter import TorchSegmenter
from support.parity import (
    Found,
    assert_same_instances,
    assert_same_proposals,
    run_static,
    run_torchvision,
    watched_proposals,
)
from support.random_network import random_network, sharpen_classes, watched

IMAGES = 20
QUICK = (4, 8)
"""Images of `make test`: the widest shape and the tallest."""
DETECTIONS_MIN = 20
"""Of each image with random weights, so that the comparison means something."""
SEED = 0


@dataclass(frozen=True)
class Case:
    image: Image
    letterbox: Letterbox

    @property
    def tensor(self) -> torch.Tensor:
        return torch.from_numpy(self.letterbox.apply(self.image))[None]


@pytest.fixture(scope="module")
def cases(data_dir: Path) -> list[Case]:
    """The images with the most people and cars, each at one shape; shapes take turns."""
    truth = json.loads((data_dir / "coco_dev" / "instances.json").read_bytes())
    objects = [row["image_id"] for row in truth["annotations"] if row["category_id"] in (1, 3)]
    crowded = sorted(truth["images"], key=lambda row: (-objects.count(row["id"]), row["id"]))[:IMAGES]
    found = []
    for position, row in enumerate(crowded):
        image = cv2.imread(str(data_dir / "coco_dev" / "images" / row["file_name"]), cv2.IMREAD_COLOR_RGB)
        assert image is not None
        shape = INPUT_SIZES[position % len(INPUT_SIZES)]
        found.append(Case(image, Letterbox.fit(image.shape[:2], shape)))
    assert {case.letterbox.input_size for case in found} == set(INPUT_SIZES)
    return found


def weights_for(architecture: Architecture, cases: Sequence[Case], folder: Path) -> Weights:
    """lite as it is shipped; resnet50 with random weights, as its trained ones need a download."""
    if architecture is Architecture.LITE:
        return find_weights("lite")
    model = random_network(architecture, [case.tensor for case in cases[:2]], SEED)
    path = folder / "random.safetensors"
    save_file(model.state_dict(), path)
    reference = reference_for(find_weights(path))
    with watched(reference._model) as seen:
        for case in cases:
            reference.run(case.tensor, case.letterbox.content_size)
    sharpen_classes(reference._model, seen, DETECTIONS_MIN)
    save_file(reference._model.state_dict(), path)
    return find_weights(path)


def reference_for(weights: Weights) -> TorchSegmenter:
    settings = GraphSettings.of(weights.architecture)
    return TorchSegmenter(weights, (1,), score_min=0.05, settings=settings)


def assert_static_graphs_agree(reference: TorchSegmenter, case: Case, settings: GraphSettings) -> Found:
    """Proposals and instances of the static graphs in torch; returns torchvision's."""
    with watched(reference._model) as seen:
        theirs = run_torchvision(reference, case.letterbox, case.image)
    shape = case.letterbox.input_size
    detector = StaticDetector(reference._model, shape, settings).eval()
    masks = StaticMasks(reference._model, shape, settings).eval()
    with watched_proposals(detector) as proposals:
        ours = run_static(detector, masks, case.letterbox, case.image)
    assert_same_proposals(proposals[-1], seen[0].proposals)
    assert_same_instances(ours, theirs)
    return theirs


def run_engine(engine: OpenVinoSegmenter, case: Case, architecture: Architecture) -> Found:
    """Returns an engine's instances as torchvision gives them: in pixels of the network, with labels of the model."""
    [found] = engine([case.image])
    assert isinstance(found.masks, BoxMasks)
    height, width = (inner / outer for inner, outer in zip(case.letterbox.content_size, found.image_size, strict=True))
    boxes = (found.boxes * np.array([width, height, width, height])).astype(np.float32)
    labels = np.array([architecture.category_ids.index(category) for category in found.category_ids.tolist()])
    return Found(boxes, found.scores, labels, found.masks.probabilities)


BOTH = pytest.mark.parametrize(
    "architecture", [Architecture.LITE, Architecture.RESNET50], ids=lambda architecture: architecture.value
)


@BOTH
def test_static_graphs_on_two_images(architecture: Architecture, cases: list[Case], tmp_path: Path) -> None:
    chosen = [cases[position] for position in QUICK]
    weights = weights_for(architecture, chosen, tmp_path)
    reference = reference_for(weights)
    for case in chosen:
        theirs = assert_static_graphs_agree(reference, case, GraphSettings.of(architecture))
        assert len(theirs.scores) >= DETECTIONS_MIN


@pytest.mark.bars
@pytest.mark.timeout(3600)
@BOTH
def test_both_engines_on_twenty_images(architecture: Architecture, cases: list[Case], tmp_path: Path) -> None:
    weights = weights_for(architecture, cases, tmp_path)
    reference, settings = reference_for(weights), GraphSettings.of(architecture)
    wanted = [category for category in architecture.category_ids if category]
    counts = []
    for shape in INPUT_SIZES:
        engine = OpenVinoSegmenter(
            weights, wanted, score_min=0.05, input_size=shape, precision="fp32", settings=settings
        )
        for case in cases:
            if case.letterbox.input_size == shape:
                theirs = assert_static_graphs_agree(reference, case, settings)
                assert_same_instances(run_engine(engine, case, architecture), theirs)
                counts.append(len(theirs.scores))
    assert len(counts) == IMAGES
    if architecture is not Architecture.LITE:
        assert min(counts) >= DETECTIONS_MIN
