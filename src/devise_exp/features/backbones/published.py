"""The network behind published features, which is not published itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17.files import BACKBONE, FEATURE_DIM

if TYPE_CHECKING:
    from devise_exp.features.backbones.base import Backbone


def res101(trainable: bool = False) -> Backbone:
    """What the features come from: ResNet-101 pretrained on ImageNet-1k, 2048-d, whose classes the
    audit needs. Its network was not published with them: a picture asked of it is an InputError.
    """
    from torch import Tensor, nn

    from devise_exp.features.backbones.base import Backbone, Preprocess, imagenet1k_names

    class Unpublished(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise InputError(
                f"{BACKBONE}: the network behind these features was not published with them, so no "
                "other picture can be embedded: search by words, or train with another backbone "
                "on pictures"
            )

    if trainable:
        raise InputError(
            f"backbone.trainable=true: {BACKBONE} stands for published features and has no "
            "network to train: leave it false"
        )
    plain = Preprocess(224, 224)
    return Backbone(BACKBONE, Unpublished, FEATURE_DIM, plain, imagenet1k_names())
