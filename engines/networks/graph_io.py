"""Inputs and outputs of the frame graph: names, order, shapes and types, for its export and its engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

KEEPS = ("proposal_keep", "detection_keep")
"""Names of the inputs from which NMS starts; for each there is an output `..._out`, where NMS stopped."""


class Inputs(NamedTuple):
    """Inputs of the graph, in this order; a batch shares all but the frames and the starts of NMS."""

    frames: Tensor
    """uint8 (B, h, w, 3) RGB, as the camera gives them; h and w may differ from call to call."""
    rows: Tensor
    """int32 (2, H), see `ResizePlan`."""
    row_weights: Tensor
    """int32 (2, H): see `ResizePlan`."""
    columns: Tensor
    """int32 (2, W): see `ResizePlan`."""
    column_weights: Tensor
    """int32 (2, W): see `ResizePlan`."""
    content: Tensor
    """float (2,): height and width of the part of the network's input that is not padding."""
    classes: Tensor
    """float (C,): 1 for the model's labels to report, 0 for the others and the background."""
    score_min: Tensor
    """float (1,): minimum score of the detections."""
    proposal_keep: Tensor
    """float (B, L, N): where the proposals' NMS starts; ones for new images."""
    detection_keep: Tensor
    """float (B, M): where the detections' NMS starts; ones for new images."""


class Outputs(NamedTuple):
    """Outputs of the graph, in this order; slots beyond `found` are undefined."""

    boxes: Tensor
    """float (B, D, 4) x1, y1, x2, y2 in pixels of the network's input."""
    scores: Tensor
    """float (B, D), best first."""
    labels: Tensor
    """int32 (B, D), the model's own."""
    masks: Tensor
    """float (B, D, 28, 28): probability of each cell."""
    found: Tensor
    """int32 (B,): number of slots that are detections."""
    converged: Tensor
    """float (B,): 1 where NMS converged; otherwise the graph must be run again from the `keep` outputs."""
    proposal_keep_out: Tensor
    """float (B, L, N): where the proposals' NMS stopped."""
    detection_keep_out: Tensor
    """float (B, M): where the detections' NMS stopped."""


INPUT_TYPES = {
    "frames": "uint8",
    **dict.fromkeys(("rows", "row_weights", "columns", "column_weights"), "int32"),
    **dict.fromkeys(("content", "classes", "score_min", *KEEPS), "float32"),
}
OUTPUT_TYPES = {
    **dict.fromkeys(("boxes", "scores", "masks", "converged"), "float32"),
    **dict.fromkeys(("labels", "found"), "int32"),
    **dict.fromkeys((f"{name}_out" for name in KEEPS), "float32"),
}
