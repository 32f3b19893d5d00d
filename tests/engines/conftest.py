"""Images and segmenters that the engines' tests share: graphs are exported once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from roadmask.engines import Image
from roadmask.engines.classes import LITE_CATEGORY_IDS
from roadmask.engines.networks.graph_settings import GraphSettings
from roadmask.engines.networks.weights import Weights, find_weights
from roadmask.engines.openvino.segmenter import OpenVinoSegmenter, has_native_bf16
from roadmask.engines.segmenter import Precision

SHAPE = (192, 160)
"""A small network shape of about the portrait's aspect."""


@pytest.fixture(scope="session")
def portrait() -> Image:
    """600 x 512: a photograph of one person from the waist up, which matplotlib ships."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        encoded = np.frombuffer(file.read(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="session")
def street_images(data_dir: Path) -> list[Image]:
    """Real images with people and cars, some crowded."""
    names = ("000000000139", "000000005001", "000000017627", "000000025603", "000000047112")
    files = [data_dir / "coco_dev" / "images" / f"{name}.jpg" for name in names]
    return [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files]


@pytest.fixture(scope="session")
def lite() -> Weights:
    return find_weights("lite")


Build = Callable[..., OpenVinoSegmenter]


@pytest.fixture(scope="session")
def build_openvino(lite: Weights) -> Build:
    """Builds OpenVINO segmenters of the small shape, each kind once, warmed up."""
    built: dict[tuple[object, ...], OpenVinoSegmenter] = {}

    def build(
        precision: Precision = "fp32", score_min: float = 0.05, settings: GraphSettings | None = None
    ) -> OpenVinoSegmenter:
        if precision == "bf16" and not has_native_bf16():
            pytest.skip("needs a processor that multiplies bf16")
        key = (precision, score_min, settings)
        if key not in built:
            built[key] = OpenVinoSegmenter(
                lite,
                LITE_CATEGORY_IDS,
                score_min=score_min,
                input_size=SHAPE,
                threads=2,
                precision=precision,
                settings=settings,
            )
            built[key].warm_up(SHAPE)
        return built[key]

    return build
