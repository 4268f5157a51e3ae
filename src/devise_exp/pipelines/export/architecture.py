"""What rebuilds the modules of an exported run without its weights, and without code of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from devise_exp.features.backbones.base import Backbone
from devise_exp.methods import projection

_PROJECTIONS = {"linear": projection.linear, "mlp": projection.mlp}
# The image tower of open_clip is the same whatever the text tower is.
_NO_TEXTS = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}


def describe_network(config: DictConfig, backbone: Backbone) -> dict[str, Any] | None:
    """Describe the network of a run's backbone.

    Args:
        config: The config of the run.
        backbone: What it builds.

    Returns:
        Plain values without paths; None if this package cannot rebuild it without its weights.
    """
    options: Any = OmegaConf.to_container(config.backbone)
    target = str(options.get("_target_"))
    kind = target.rpartition(".")[2] if target.startswith("devise_exp.") else ""
    if kind == "timm_backbone":
        return {"kind": "timm", "name": options["name"]}
    if kind == "efficientnet_lite":
        return {"kind": "efficientnet_lite", "variant": options.get("variant", 0)}
    if kind == "torchvision_backbone":
        layer = options.get("layer", "pool")
        return {"kind": "torchvision", "arch": options["arch"], "layer": layer}
    if kind == "open_clip_backbone" and backbone.text_tower is not None:
        settings = backbone.text_tower.settings
        return {
            "kind": "open_clip",
            "embed_dim": settings["embed_dim"],
            "vision_cfg": dict(settings["vision_cfg"]),
            "quick_gelu": backbone.text_tower.quick_gelu or bool(settings.get("quick_gelu")),
        }
    return None


def describe_projection(config: DictConfig) -> dict[str, Any] | None:
    """Describe the projection of a run.

    Args:
        config: The config of the run.

    Returns:
        Plain values; None if it is none of this package.
    """
    options: Any = OmegaConf.to_container(config.projection)
    kind = str(options.get("_target_")).removeprefix("devise_exp.methods.projection.")
    if kind not in _PROJECTIONS:
        return None
    return {"kind": kind} | {k: options[k] for k in ("hidden", "norm") if k in options}


def build_network(described: Mapping[str, Any]) -> nn.Module:
    """Build a network of random weights.

    Args:
        described: As of `describe_network`, of anybody.

    Returns:
        The network.

    Raises:
        ValueError: It is none that is built here; other errors may come of wrong values.
    """
    kind = described["kind"]
    if kind == "torchvision":
        from devise_exp.features.backbones.torchvision import torchvision_backbone

        return torchvision_backbone(
            described["arch"], weights=None, layer=described["layer"]
        ).network
    if kind == "open_clip":
        return _image_tower(described)
    names = {"timm": described.get("name"), "efficientnet_lite": _lite(described)}
    if kind not in names:
        raise ValueError(f"a network of the kind {kind}")
    import timm

    with torch.random.fork_rng(devices=[]):
        network: nn.Module = timm.create_model(_listed(names[kind]), pretrained=False)
    network.reset_classifier(0)  # type: ignore[operator]
    return network.eval()


def build_projection(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build a projection without memory, whose sizes its tensors have.

    Args:
        described: As of `describe_projection`, of anybody.
        tensors: Those of the projection by name.

    Returns:
        The projection, on the device meta.
    """
    options = {key: described[key] for key in ("hidden", "norm") if key in described}
    matrices = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    with torch.device("meta"):
        module: nn.Module = _PROJECTIONS[described["kind"]](
            matrices[0].shape[1], matrices[-1].shape[0], **options
        )
    return module


def _lite(described: Mapping[str, Any]) -> str:
    return f"tf_efficientnet_lite{described.get('variant')}"


def _listed(name: Any) -> str:
    """A name of timm's own; another might be fetched from a network."""
    import timm

    if not isinstance(name, str) or not timm.is_model(name.split(".")[0]):
        raise ValueError(f"timm has no network {str(name)[:50]}")
    return name


def _image_tower(described: Mapping[str, Any]) -> nn.Module:
    """The image tower of a model of open_clip."""
    from devise_exp.core.open_clip_library import import_open_clip
    from devise_exp.features.backbones.open_clip import ImageTower

    vision = dict(described["vision_cfg"])
    if vision.get("timm_model_name") is not None:
        vision |= {"timm_model_name": _listed(vision["timm_model_name"])}
        vision |= {"timm_model_pretrained": False}
    with torch.random.fork_rng(devices=[]):
        model = import_open_clip().CLIP(
            embed_dim=described["embed_dim"],
            vision_cfg=vision,
            text_cfg=dict(_NO_TEXTS),
            quick_gelu=bool(described["quick_gelu"]),
        )
    return ImageTower(model.visual)
