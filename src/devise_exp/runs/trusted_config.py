"""What a run folder's config may build.

A run folder may come from anybody, and its config names Python functions. So only the functions
listed here are built from it, with plain values as arguments, unless its user says that the folder
is to be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.core.paths import CONF
from devise_exp.core.user_code import locate

_HERE = "devise_exp"
_WORD_VECTORS = "devise_exp.text.word_vectors"
_BACKBONES = "devise_exp.features.backbones"
TRUSTED = {
    "word_vectors": (
        f"{_WORD_VECTORS}.load_word_vectors",
        f"{_WORD_VECTORS}.gensim_download",
        f"{_WORD_VECTORS}.glove_6b_50d",
        f"{_WORD_VECTORS}.random_word_vectors",
        "devise_exp.text.sentence_vectors.sentence_minilm",
        "devise_exp.text.sentence_vectors.sentence_encoder",
        "devise_exp.text.open_clip_text.open_clip_text",
        "devise_exp.text.class_table.class_table",
        "devise_exp.text.attributes.xlsa17_attributes",
    ),
    "backbone": (
        f"{_BACKBONES}.torchvision.torchvision_backbone",
        f"{_BACKBONES}.efficientnet_lite.efficientnet_lite",
        f"{_BACKBONES}.timm.timm_backbone",
        f"{_BACKBONES}.open_clip.open_clip_backbone",
        f"{_BACKBONES}.published.res101",
    ),
    "projection": ("devise_exp.methods.projection.linear", "devise_exp.methods.projection.mlp"),
    "index": (
        "devise_exp.index.ExactIndex",
        "devise_exp.index.NmslibIndex",
        "devise_exp.index.AutoIndex",
        "devise_exp.index.FaissIndex",
    ),
}
_PICKLE = "trust_pickle"  # a pickle runs whatever it holds
_REMEDIES = {"index": "; evaluate takes index=hnsw, brute_force, exact, auto or faiss instead"}
TRUST = "if you trust it, add --trust (of train and evaluate: trust=true)"
# Parts of libraries that a training has anyway; what they are given is plain, or listed by itself.
_LIBRARIES = re.compile(
    r"(torch\.(optim(\.lr_scheduler)?|nn)|optuna\.(samplers|pruners)"
    r"|pytorch_lightning(\.(callbacks|loggers))?|lightning\.pytorch(\.(callbacks|loggers))?)"
    r"\.[A-Z]\w*"
)
_TARGET = re.compile(r"^\s*_target_:\s*([\w.]+)", re.MULTILINE)


def trusted_group(config: DictConfig, group: str, folder: Path, trust: bool = False) -> DictConfig:
    """Take a group of a run folder's config that is safe to build.

    Args:
        config: The config of the run folder.
        group: word_vectors, backbone, projection or index.
        folder: The run folder, for messages.
        trust: Whether its user trusts the folder: then any function is taken.

    Returns:
        The group: a function of this project and plain values as its arguments.

    Raises:
        InputError: If the group names another function, holds a second one, or asks for a pickle,
            and is not trusted; or if there is no such function.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    content = values.get(group) if isinstance(values, dict) else None
    if is_plain(group, content):
        return OmegaConf.create(content)
    parts = dict(_nodes(group, content))
    if trust and parts:
        for path, part in user_parts(OmegaConf.create({group: content})).items():
            locate(str(part["_target_"]), path)
        return OmegaConf.create(content)
    target = content.get("_target_") if isinstance(content, dict) else content
    raise InputError(
        f"{folder}: its config names {str(target)!r} as the {group}, which is not built unasked: "
        f"{_imported(parts, content)}{_REMEDIES.get(group, '')}"
    )


def is_plain(group: str, content: Any) -> bool:
    """Tell whether a group of a config is built without being asked about.

    Args:
        group: word_vectors, backbone, projection or index.
        content: The value of the group, plain.

    Returns:
        Whether it is a function of this project with plain values as its arguments.
    """
    return (
        isinstance(content, dict)
        and content.get("_target_") in TRUSTED[group]
        and str(content).count("_target_") == 1
        and not content.get(_PICKLE)
        and _has_plain_flags(content)
    )


def _imported(parts: Mapping[str, Any], content: Any) -> str:
    """What trust would import, as the end of a message."""
    if not parts:
        return "use a run folder that you trust and mend its config"
    names = listed(f"{path}={part['_target_']}" for path, part in parts.items())
    pickle = " and read its pickle" if isinstance(content, dict) and content.get(_PICKLE) else ""
    return f"it would import {names}{pickle}: {TRUST}"


def _has_plain_flags(content: dict[Any, Any]) -> bool:
    """Tell whether Hydra's own keys are those that this project writes."""
    flags = {str(key) for key in content if str(key).startswith("_")}
    return flags <= {"_target_", "_partial_"} and isinstance(content.get("_partial_", False), bool)


def user_parts(config: DictConfig) -> dict[str, Mapping[str, Any]]:
    """Find the parts of a config that neither this project nor its libraries have.

    Args:
        config: Any config.

    Returns:
        Key of the part -> its node, plain, with `_target_`.
    """
    values = OmegaConf.to_container(config, resolve=True)
    return {
        path: node
        for path, node in _nodes("", values)
        if not (node["_target_"] in _targets() or _LIBRARIES.fullmatch(str(node["_target_"])))
    }


def refuse_untrusted(config: DictConfig, source: str, remedy: str = TRUST) -> None:
    """Refuse a config of unknown origin if it holds parts of a user's own.

    Args:
        config: The config.
        source: Where it comes from, for the message.
        remedy: What to add to the command.

    Raises:
        InputError: It holds some; the message says what would be imported.
    """
    parts = user_parts(config)
    for path, node in parts.items():
        if str(node["_target_"]).startswith(f"{_HERE}."):
            locate(str(node["_target_"]), path)  # a name that this project lacks is a wrong one
    if parts:
        names = listed(f"{path}={node['_target_']}" for path, node in parts.items())
        raise InputError(
            f"{source}: its config holds parts that are not of this project, which are not built "
            f"unasked: it would import {names}: {remedy}"
        )


@cache
def _targets() -> frozenset[str]:
    """All functions that the options of this project name."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml")))
    named = {target for text in texts for target in _TARGET.findall(text)}
    return frozenset(named.union(*TRUSTED.values()))


def _nodes(path: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All mappings with `_target_` in a plain value, by their dotted keys."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield path, value
        for key, item in value.items():
            yield from _nodes(f"{path}.{key}".lstrip("."), item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _nodes(f"{path}[{i}]", item)
