"""Any timm model as a backbone, with the pretraining classes that its weights' tag names."""

from __future__ import annotations

import textwrap
from typing import Any

import torch

from devise_exp.core.errors import InputError
from devise_exp.core.spelling import nearest_spellings
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.backbones.torchvision import OFFLINE
from devise_exp.features.backbones.weights import classifier_head, existing_file

# Marks in timm's tags of images beside ImageNet, whose classes or captions nobody published.
UNLISTED = (
    *("laion", "clip", "openai", "webli", "datacomp", "dfn", "jft", "swag", "ssld", "m30m"),
    *("m38m", "indomain"),
)


def timm_backbone(
    name: str, pretrained: bool = True, file: str | None = None, trainable: bool = False
) -> Backbone:
    """Build any model of timm.

    In a config: `backbone=timm backbone.name=vit_base_patch16_224` (conf/backbone/timm.yaml).

    Args:
        name: A name that timm lists, with or without the tag of its weights.
        pretrained: Whether to use published weights; false: random ones of seed 0.
        file: Local file of weights, with or without their classification layer; None: download.
        trainable: Whether training changes the network too.

    Returns:
        The backbone; its feature length is measured.

    Raises:
        InputError: timm has no such model, or its weights cannot be had.

    Source: Wightman, PyTorch Image Models (timm), 2019.
    """
    from timm.data import resolve_data_config

    _check_options(name, pretrained, file)
    network = _timm_network(name, pretrained, file)
    layer = network.get_classifier()
    network.reset_classifier(0)
    data = resolve_data_config({}, model=network)
    feature_dim = _measured_dim(network, data["input_size"])
    categories = _timm_categories(network.pretrained_cfg.get("tag") or "") if pretrained else ()
    head = classifier_head(layer, feature_dim)
    return Backbone(
        name=f"timm/{name}",
        build=lambda: network,
        feature_dim=feature_dim,
        preprocess=_preprocess(data),
        categories=categories,
        trainable=trainable,
        head=head if head and len(head.bias) == len(categories or ()) else None,
    )


def _check_options(name: str, pretrained: bool, file: str | None) -> None:
    """InputError for a model that timm has not, or for weights both random and of a file."""
    import timm

    if not timm.is_model(name.split(".")[0]):
        near = ", ".join(nearest_spellings(name.split(".")[0], timm.list_models(), n=5))
        raise InputError(
            f"backbone.name={name}: timm has no such model; near ones: {near or 'none'}"
        )
    if file is not None and not pretrained:
        raise InputError(
            f"backbone.file={file} with backbone.pretrained=false: give one of the two, the file "
            "for its weights or pretrained=false for random ones"
        )


def _measured_dim(network: Any, input_size: tuple[int, ...]) -> int:
    """Length of a feature: the network is run once."""
    network.eval()
    with torch.inference_mode():
        feature_dim = network(torch.zeros(1, *input_size)).shape[-1]
    network.train()  # as every other backbone comes
    return int(feature_dim)


def _preprocess(data: dict[str, Any]) -> Preprocess:
    """The preprocessing of timm's data config."""
    size = data["input_size"][-1]
    resize = int(size / data["crop_pct"])
    return Preprocess(
        resize=(resize, resize) if data["crop_mode"] == "squash" else resize,
        crop=size,
        mean=data["mean"],
        std=data["std"],
        interpolation=data["interpolation"],
    )


def _timm_network(name: str, pretrained: bool, file: str | None) -> Any:
    """The model with its classification layer, if its weights have one."""
    import timm

    path = None if file is None else existing_file(file, "backbone.file")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if path is not None:
                return _timm_from_file(name, str(path))
            return timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # the hub's client, its proxy and the file's reader have their own
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise InputError(
            f"backbone=timm backbone.name={name}: its weights could not be had ({reason}): put "
            f"the weights file on disk and give backbone.file=FILE, or {OFFLINE}"
        ) from error


def _timm_from_file(name: str, file: str) -> Any:
    """Load every tensor of the model from `file`.

    timm leaves missing tensors random, without a word, if the numbers of classes differ.
    """
    import timm

    timm.models.load_state_dict(file, weights_only=True)  # older versions would run its code below
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": file})
    except RuntimeError as error:
        bare = {"file": file, "num_classes": 0, "label_offset": 0}
        try:
            return timm.create_model(
                name, pretrained=True, num_classes=0, pretrained_cfg_overlay=bare
            )
        except RuntimeError:
            raise error from None


def _timm_categories(tag: str) -> tuple[str, ...] | None:
    """Pretraining classes by the weights' tag; the widest set: in22k_ft_in1k saw all of in22k."""
    from timm.data import ImageNetInfo

    if any(mark in tag for mark in UNLISTED):
        return None
    for mark, subset in (
        ("in22k", "imagenet-22k"),
        ("in21k", "imagenet-21k-goog"),
        ("in12k", "imagenet-12k"),
    ):
        if mark in tag:
            wide = ImageNetInfo(subset).label_descriptions()
            last = ImageNetInfo("imagenet-1k").label_descriptions() if "in1k" in tag else []
            names = set(wide)
            return (*wide, *(name for name in last if name not in names))
    # What was only fine-tuned on ImageNet-1k had seen other images before.
    first = tag.split("_ft_")[0]
    return tuple(ImageNetInfo("imagenet-1k").label_descriptions()) if "in1k" in first else None
