"""Backbones of torchvision with their published weights."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.backbones.weights import classifier_head, read_state_dict

OFFLINE = "backbone=efficientnet_lite0 needs no download"
FEATURE_DIMS = {
    "resnet18": {"pool": 512},
    "resnet34": {"pool": 512},
    "resnet50": {"pool": 2048},
    "vgg16": {"pool": 512, "fc2": 4096},
}


def torchvision_backbone(
    arch: str,
    weights: str | None = "IMAGENET1K_V1",
    layer: str = "pool",
    trainable: bool = False,
    seed: int = 0,
) -> Backbone:
    """Build resnet18, resnet34, resnet50 or vgg16 of torchvision.

    In a config: `backbone=resnet50 backbone.weights=IMAGENET1K_V2` (conf/backbone/resnet50.yaml).

    Args:
        arch: The network.
        weights: IMAGENET1K_V1, IMAGENET1K_V2, a state-dict file, or None for random weights.
        layer: "pool": the averaged last feature map; "fc2": vgg16's penultimate layer, rectified.
        trainable: Whether training changes the network too.
        seed: Seed of random weights.

    Returns:
        The backbone; features are 512-d, of resnet50 2048-d, of "fc2" 4096-d.

    Raises:
        InputError: The network or the layer is unknown, or the weights cannot be had.

    Source: He et al., CVPR 2016 (ResNet); Simonyan and Zisserman, ICLR 2015 (VGG).
    """
    from torchvision import models

    feature_dim = _feature_dim(arch, layer)
    presets = models.get_model_weights(arch).__members__
    network, last = _network(arch, weights, presets, layer, seed)
    return Backbone(
        name=f"{arch}/{layer}",
        build=lambda: network,
        feature_dim=feature_dim,
        preprocess=_preprocess(weights, presets),
        categories=_categories(weights, presets),
        trainable=trainable,
        head=classifier_head(last, feature_dim) if weights in presets else None,
    )


def _network(
    arch: str, weights: str | None, presets: Any, layer: str, seed: int
) -> tuple[nn.Module, nn.Module | None]:
    """The network up to `layer`, and the last layer if `layer` is its input."""
    from torchvision import models

    state = _state(arch, weights, presets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = models.get_model(arch, weights=None)
    if state is not None:
        _load_strictly(network, state, f"{arch} weights {weights}")
    return network, _cut(network, layer)


def _categories(weights: str | None, presets: Any) -> tuple[str, ...] | None:
    """Pretraining classes; unknown for a file, which may hold weights of any pretraining."""
    if weights is None:
        return ()
    return tuple(presets[weights].meta["categories"]) if weights in presets else None


def _preprocess(weights: str | None, presets: Any) -> Preprocess:
    """The preprocessing of the published weights, or of the first ones."""
    preset = presets[weights] if weights in presets else next(iter(presets.values()))
    transform = preset.transforms()
    return Preprocess(
        resize=transform.resize_size[0],
        crop=transform.crop_size[0],
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        interpolation=transform.interpolation.value,
    )


def _feature_dim(arch: str, layer: str) -> int:
    """Length of a feature, known before anything is downloaded."""
    if arch not in FEATURE_DIMS:
        raise InputError(
            f"backbone.arch={arch}: choose one of {', '.join(FEATURE_DIMS)}, or any model of "
            "backbone=timm"
        )
    layers = FEATURE_DIMS[arch]
    if layer not in layers:
        raise InputError(f"backbone.layer={layer}: {arch} has {' or '.join(layers)}")
    return layers[layer]


def _cut(network: Any, layer: str) -> nn.Module | None:
    """Drop what comes after `layer`, in place; returns the last layer if `layer` is its input."""
    last: nn.Module | None = None
    if layer == "fc2":
        last = network.classifier[-1]
        network.classifier = network.classifier[:-2]  # also without the last dropout
    elif hasattr(network, "fc"):
        last, network.fc = network.fc, nn.Identity()
    else:
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.classifier = nn.Identity()
    return last


def _state(arch: str, weights: str | None, presets: Any) -> dict[str, Tensor] | None:
    """Tensors of published weights or of a file; None for random weights."""
    if weights is None:
        return None
    if weights in presets:
        return _published_state(arch, weights, presets[weights].url)
    return read_state_dict(weights, tuple(presets))


def _published_state(arch: str, weights: str, url: str) -> dict[str, Tensor]:
    """State dict from torch's cache, after a hash-checked download if it is not there yet."""
    name = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = name.rsplit("-", 1)[-1].split(".")[0]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected)
        except (OSError, HTTPException, RuntimeError) as error:
            raise InputError(
                f"backbone {arch}: its weights {weights} could not be downloaded ({error}): put "
                f"the file {name} into {path.parent}, or give backbone.weights=FILE or null; "
                f"{OFFLINE}"
            ) from error
    return read_state_dict(str(path))


def _load_strictly(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load every tensor, or raise InputError."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split("\n")[1:2]).strip()
        raise InputError(f"{source}: the tensors do not fit the network ({first[:200]})") from error
