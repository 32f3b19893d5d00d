"""The one graph for GPUs, in torch on the CPU: the same numbers as torchvision and as the CPU's letterbox."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadmask.engines import EngineError, Image
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.letterbox import Letterbox
from roadmask.engines.networks.activations import largest_activations, require_half
from roadmask.engines.networks.folding import fold_batch_norms
from roadmask.engines.networks.frame_graph import GpuGraph
from roadmask.engines.networks.graph_io import Inputs, Outputs
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.models import build_model, load_model
from roadmask.engines.networks.resizing import ResizePlan
from roadmask.engines.networks.weights import Architecture, Weights
from roadmask.engines.torch.segmenter import TorchSegmenter
from support.parity import Found, assert_equal_numbers

SHAPE = (192, 160)
SETTINGS = GraphSettings(proposals=64, detections=20)


@pytest.fixture(scope="module")
def graph(lite: Weights) -> GpuGraph:
    with torch.inference_mode():
        return GpuGraph(load_model(lite), SHAPE, 2, SETTINGS).eval()


def inputs_for(graph: GpuGraph, images: list[Image]) -> Inputs:
    plan = ResizePlan.of(Letterbox.fit(images[0].shape[:2], graph.shape))
    return graph.example_inputs()._replace(
        frames=torch.from_numpy(np.stack(images)), **{k: torch.from_numpy(v) for k, v in vars(plan).items()}
    )


def run(graph: GpuGraph, inputs: Inputs) -> Outputs:
    with torch.inference_mode():
        found = graph(*inputs)
        while not found.converged.all():
            again = inputs._replace(proposal_keep=found.proposal_keep_out, detection_keep=found.detection_keep_out)
            found = graph(*again)
    return found


def image_of(found: Outputs, place: int) -> Found:
    count = int(found.found[place])
    boxes, scores, labels, masks = (each[place, :count].numpy() for each in found[:4])
    return Found(boxes, scores, labels.astype(np.int64), masks)


@pytest.mark.parametrize(
    "size",
    [(1080, 1920), (375, 1242), (480, 640), (192, 160), (100, 80), (95, 160), (1, 1), (3, 400), (333, 517)],
    ids=str,
)
def test_frames_are_resized_to_the_last_bit(graph: GpuGraph, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with torch.inference_mode():
        given = inputs_for(graph, [image, image])
        down, across = (given.rows, given.row_weights), (given.columns, given.column_weights)
        ours = graph.letterbox(given.frames, down, across, given.content)
    assert np.array_equal(ours[0].numpy(), Letterbox.fit(size, SHAPE).apply(image))


def test_numbers_are_torchvisions(graph: GpuGraph, lite: Weights, portrait: Image) -> None:
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    found = run(graph, inputs_for(graph, [portrait, mirrored]))
    eager = TorchSegmenter(lite, LITE_CATEGORY_IDS, score_min=0.05, input_size=SHAPE, settings=SETTINGS)
    letterbox = Letterbox.fit(portrait.shape[:2], SHAPE)
    for place, image in enumerate((portrait, mirrored)):
        theirs = eager.run(torch.from_numpy(letterbox.apply(image))[None], letterbox.content_size)
        boxes, scores, labels, masks = (theirs[name].numpy() for name in ("boxes", "scores", "labels", "masks"))
        assert len(scores) > 0
        assert_equal_numbers(image_of(found, place), Found(boxes, scores, labels, masks[:, 0]))


def test_an_image_does_not_see_its_neighbour(graph: GpuGraph, portrait: Image) -> None:
    black = np.zeros_like(portrait)
    beside_black = image_of(run(graph, inputs_for(graph, [portrait, black])), 0)
    beside_itself = image_of(run(graph, inputs_for(graph, [portrait, portrait])), 0)
    second = image_of(run(graph, inputs_for(graph, [black, portrait])), 1)
    for other in (beside_itself, second):
        assert_equal_numbers(beside_black, other)


@pytest.mark.parametrize("architecture", list(Architecture))
def test_folding_changes_nothing(architecture: Architecture) -> None:
    torch.manual_seed(0)
    model = build_model(architecture)
    with torch.inference_mode():
        for name, value in model.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
        image = torch.rand(1, 3, 64, 64)
        before = model.backbone(image)
        folded = fold_batch_norms(model)
        after = model.backbone(image)
    assert folded > 50
    assert not [name for name, _ in model.named_buffers() if name.endswith("running_var")]
    for level, features in before.items():
        scale = float(features.abs().max())
        assert float((after[level] - features).abs().max()) <= 1e-4 * scale


def test_activations_of_real_images_fit_into_half(lite: Weights, street_images: list[Image]) -> None:
    seen = largest_activations(lite, SHAPE, street_images[:2])
    assert len(seen) > 120
    # A residual sum, the pyramid's sum and the logits of masks lie between layers.
    assert seen["backbone.body.4.conv.0.0 (input)"] > seen["backbone.body.3.conv.3"]
    assert seen["backbone.fpn.layer_blocks.0.0 (input)"] > seen["backbone.fpn.inner_blocks.0.0"]
    assert seen["roi_heads.mask_predictor.mask_fcn_logits"] > 1
    require_half(seen)


def test_activations_that_do_not_fit_are_named() -> None:
    with pytest.raises(EngineError, match=r"under 30000, .* got fc6 4e\+04: choose fp32"):
        require_half({"conv": 2.0, "fc6": 4e4})
    with pytest.raises(EngineError, match="got fc7 nan"):
        require_half({"fc7": float("nan")})
