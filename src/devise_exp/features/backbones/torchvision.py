"""Backbones of torchvision with their published weights."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone, Preprocess, head_of, state_from_file

OFFLINE = "backbone=efficientnet_lite0 needs no download"


def torchvision_backbone(
    arch: str,
    weights: str | None = "IMAGENET1K_V1",
    layer: str = "pool",
    trainable: bool = False,
    seed: int = 0,
) -> Backbone:
    """resnet18, resnet34, resnet50 or vgg16 of torchvision.

    weights: a name of torchvision's (IMAGENET1K_V1, IMAGENET1K_V2), a state-dict file, or None for
    random weights drawn from `seed`. layer: "pool" is the last map averaged over positions
    (resnets: 512 or 2048-d; vgg16: 512-d); "fc2", vgg16 only, is its 4096-d penultimate layer
    after the ReLU.
    """
    from torchvision import models

    feature_dim = _feature_dim(arch, layer)
    known = models.get_model_weights(arch).__members__
    if weights is None or weights not in known:
        state = None if weights is None else state_from_file(weights, tuple(known))
        preset = next(iter(known.values()))
    else:
        preset = known[weights]
        state = _torchvision_state(arch, weights, preset.url)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.get_model(arch, weights=None)
    if state is not None:
        _load_strictly(network, state, f"{arch} weights {weights}")
    last = _cut(network, layer)
    transform = preset.transforms()
    return Backbone(
        name=f"{arch}/{layer}",
        build=lambda: network,
        feature_dim=feature_dim,
        preprocess=Preprocess(
            transform.resize_size[0],
            transform.crop_size[0],
            tuple(transform.mean),
            tuple(transform.std),
            transform.interpolation.value,
        ),
        # A file may hold weights of any pretraining, so its classes are not known.
        categories=()
        if weights is None
        else tuple(preset.meta["categories"])
        if weights in known
        else None,
        trainable=trainable,
        head=head_of(last, feature_dim) if weights in known else None,
    )


def _feature_dim(arch: str, layer: str) -> int:
    """The feature's length, known before anything is downloaded; InputError for what there is
    not.
    """
    lengths = {
        "resnet18": {"pool": 512},
        "resnet34": {"pool": 512},
        "resnet50": {"pool": 2048},
        "vgg16": {"pool": 512, "fc2": 4096},
    }
    if arch not in lengths:
        raise InputError(
            f"backbone.arch={arch}: choose one of {', '.join(lengths)}, or any model of "
            "backbone=timm"
        )
    if layer not in lengths[arch]:
        raise InputError(f"backbone.layer={layer}: {arch} has {' or '.join(lengths[arch])}")
    return lengths[arch][layer]


def _cut(network: Any, layer: str) -> nn.Module | None:
    """Drop what comes after `layer`, in place; the last layer, where `layer` is what it is fed."""
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


def _torchvision_state(arch: str, weights: str, url: str) -> dict[str, Tensor]:
    """State dict from the torch cache, after a hash-checked download where it is not there yet."""
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
    return state_from_file(str(path), ())


def _load_strictly(network: nn.Module, state: dict[str, Tensor], what: str) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split("\n")[1:2]).strip()
        raise InputError(f"{what}: the tensors do not fit the network ({first[:200]})") from error
