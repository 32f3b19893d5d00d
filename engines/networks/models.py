"""The networks, as torchvision's own modules: eval mode, fp32, ready for a state dict.

Only the export and the reference engine import this, because it imports torch.
"""

from __future__ import annotations

from typing import cast

from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import Conv2dNormActivation
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.misc import FrozenBatchNorm2d

from roadmask.engines.errors import WeightsError
from roadmask.engines.networks.weights import Architecture, Weights, load_state_dict

_LITE_CHANNELS = 128


def build_model(architecture: Architecture, outputs: int | None = None) -> MaskRCNN:
    """Returns the network with random weights, in eval mode.

    Args:
        architecture: of the network.
        outputs: number of classes with the background; those of the architecture if None.
    """
    outputs = outputs or len(architecture.category_ids)
    if architecture is Architecture.LITE:
        model = _lite(outputs)
    elif architecture is Architecture.LITE2:
        model = _lite(outputs)
        for block in wide_convolutions(model).values():
            block[0] = SeparableConvolution(_LITE_CHANNELS)
    elif architecture is Architecture.RESNET50:
        model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=outputs)
        _freeze_batch_norms(model)
    else:
        model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=outputs)
    return cast("MaskRCNN", model.eval())


def _lite(outputs: int) -> MaskRCNN:
    body = mobilenet_v2(weights=None, norm_layer=FrozenBatchNorm2d).features
    backbone = BackboneWithFPN(
        body,
        return_layers={"3": "0", "6": "1", "13": "2", "17": "3"},
        in_channels_list=[24, 32, 96, 320],
        out_channels=_LITE_CHANNELS,
        extra_blocks=LastLevelMaxPool(),
    )
    return MaskRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5),
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_test=300,
        rpn_nms_thresh=0.7,
        box_nms_thresh=0.5,
        box_score_thresh=0.05,
        box_detections_per_img=100,
        box_head=TwoMLPHead(_LITE_CHANNELS * 49, 512),
        box_predictor=FastRCNNPredictor(512, outputs),
        mask_head=MaskRCNNHeads(_LITE_CHANNELS, (_LITE_CHANNELS,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(_LITE_CHANNELS, _LITE_CHANNELS, outputs),
    )


class SeparableConvolution(nn.Sequential):
    """A 3 x 3 convolution of each channel by itself, then a 1 x 1 convolution across channels.

    With 128 channels it takes an eighth of the multiplications of a full 3 x 3 convolution (Howard et al.,
    "MobileNets", 2017).

    Args:
        channels: number of channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False), nn.Conv2d(channels, channels, 1)
        )


def wide_convolutions(model: MaskRCNN) -> dict[str, Conv2dNormActivation]:
    """Returns the blocks of FPN, RPN and mask head whose 3 x 3 convolutions are separable in lite2, by name."""
    parts = {
        "backbone.fpn.layer_blocks": model.backbone.fpn.layer_blocks,
        "rpn.head.conv": model.rpn.head.conv,
        "roi_heads.mask_head": model.roi_heads.mask_head,
    }
    return {
        f"{name}.{number}": cast("Conv2dNormActivation", block)
        for name, blocks in parts.items()
        for number, block in enumerate(cast("nn.Sequential", blocks))
    }


def _freeze_batch_norms(model: nn.Module) -> None:
    # torchvision builds v1 with trainable batch norms unless it downloads weights; the COCO weights were trained and
    # are loaded with frozen ones, whose eps is 0.
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features, eps=0.0))


def load_model(weights: Weights) -> MaskRCNN:
    """Returns the network with its weights, in eval mode, fp32.

    Raises:
        WeightsError: names or shapes differ from the architecture's; the first ones are named.
    """
    model = build_model(weights.architecture, len(weights.category_ids))
    state = load_state_dict(weights.path)
    expected = model.state_dict()
    try:
        # torchvision renames the keys of its older files while it loads, so its own comparison counts, not ours.
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError:
        wrong = [
            f"{name}: expected {tuple(expected[name].shape)}, got {tuple(value.shape)}"
            for name, value in state.items()
            if name in expected and expected[name].shape != value.shape
        ]
        raise _misfit(weights, wrong) from None
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    unexpected = [name for name in unexpected if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise _misfit(weights, [f"{n}: missing" for n in missing] + [f"{n}: not known" for n in unexpected])
    return model


def _misfit(weights: Weights, differences: list[str]) -> WeightsError:
    shown = "; ".join(differences[:3])
    return WeightsError(
        f"{weights.path} does not fit {weights.architecture.value} in {len(differences)} tensors: {shown}."
    )
