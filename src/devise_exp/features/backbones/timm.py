"""Any timm model as a backbone, with the pretraining classes that its weights' tag tells of."""

from __future__ import annotations

import difflib
import textwrap
from typing import Any

import torch

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone, Preprocess, existing_file, head_of
from devise_exp.features.backbones.torchvision import OFFLINE

# Marks in timm's tags of pictures beside ImageNet, whose classes or captions nobody published.
UNLISTED = (
    *("laion", "clip", "openai", "webli", "datacomp", "dfn", "jft", "swag", "ssld", "m30m"),
    *("m38m", "indomain"),
)


def timm_backbone(
    name: str, pretrained: bool = True, file: str | None = None, trainable: bool = False
) -> Backbone:
    """Any timm model by name; `file` is a local file of its weights, with or without their
    classification layer, to use instead of a download.
    """
    import timm
    from timm.data import resolve_data_config

    if not timm.is_model(name.split(".")[0]):
        near = ", ".join(difflib.get_close_matches(name.split(".")[0], timm.list_models(), 5))
        raise InputError(
            f"backbone.name={name}: timm has no such model; near ones: {near or 'none'}"
        )
    if file is not None and not pretrained:
        raise InputError(
            f"backbone.file={file} with backbone.pretrained=false: give one of the two, the file "
            "for its weights or pretrained=false for random ones"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _timm_network(name, pretrained, file)
    layer = network.get_classifier()
    network.reset_classifier(0)
    data = resolve_data_config({}, model=network)
    size = data["input_size"][-1]
    resize = int(size / data["crop_pct"])
    network.eval()
    with torch.inference_mode():
        feature_dim = network(torch.zeros(1, *data["input_size"])).shape[-1]
    network.train()  # as every other backbone comes, should it be trained
    tag = network.pretrained_cfg.get("tag") or ""
    categories = _timm_categories(tag) if pretrained else ()
    head = head_of(layer, int(feature_dim))
    return Backbone(
        name=f"timm/{name}",
        build=lambda: network,
        feature_dim=int(feature_dim),
        preprocess=Preprocess(
            (resize, resize) if data["crop_mode"] == "squash" else resize,
            size,
            data["mean"],
            data["std"],
            data["interpolation"],
        ),
        categories=categories,
        trainable=trainable,
        head=head if head and categories and len(head.bias) == len(categories) else None,
    )


def _timm_network(name: str, pretrained: bool, file: str | None) -> Any:
    """The model with its classification layer, where its weights have one."""
    import timm

    place = None if file is None else existing_file(file, "backbone.file")
    try:
        if place is not None:
            return _timm_from_file(name, str(place))
        return timm.create_model(name, pretrained=pretrained)
    except Exception as error:  # the hub's client, its proxy and the file's reader have their own
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise InputError(
            f"backbone=timm backbone.name={name}: its weights could not be had ({reason}): put "
            f"the weights file on disk and give backbone.file=FILE, or {OFFLINE}"
        ) from error


def _timm_from_file(name: str, file: str) -> Any:
    """The model with every tensor from `file`: timm leaves what a file lacks random, in silence,
    unless the numbers of classes agree.
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
    """Pretraining classes by the weights' tag; the widest set counts: in22k_ft_in1k saw all of
    in22k.
    """
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
            known = set(wide)
            return (*wide, *(name for name in last if name not in known))
    # What was only fine-tuned on ImageNet-1k had seen other pictures before.
    first = tag.split("_ft_")[0]
    return tuple(ImageNetInfo("imagenet-1k").label_descriptions()) if "in1k" in first else None
