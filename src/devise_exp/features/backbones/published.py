"""The network behind published features, which is not published itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17.files import BACKBONE, FEATURE_DIM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from devise_exp.features.backbones.base import Backbone


def res101(trainable: bool = False) -> Backbone:
    """Stand for the ResNet-101 that made the features of data=xlsa17.

    It was pretrained on ImageNet-1k, whose classes the overlap audit needs.
    In a config: `_target_: devise_exp.features.backbones.published.res101`.

    Args:
        trainable: Must be false.

    Returns:
        A backbone of 2048-d features whose network raises InputError for any image.

    Raises:
        InputError: `trainable` is true.

    Source:
        Xian et al., "Zero-Shot Learning - A Comprehensive Evaluation of the Good, the Bad and the
        Ugly", TPAMI 2018.
    """
    from devise_exp.features.backbones.base import Backbone, Preprocess
    from devise_exp.features.backbones.weights import imagenet1k_names

    if trainable:
        raise InputError(
            f"backbone.trainable=true: {BACKBONE} stands for published features and has no "
            "network to train: leave it false"
        )
    return Backbone(
        name=BACKBONE,
        build=_unpublished_network,
        feature_dim=FEATURE_DIM,
        preprocess=Preprocess(resize=224, crop=224),
        categories=imagenet1k_names(),
    )


def _unpublished_network() -> nn.Module:
    """A network that refuses every image."""
    from torch import nn

    class Unpublished(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise InputError(
                f"{BACKBONE}: the network behind these features was not published with them, so no "
                "other image can be embedded: search by words, or train with another backbone "
                "on images"
            )

    return Unpublished()
