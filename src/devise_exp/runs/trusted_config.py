"""What a run folder's config may build.

A run folder may come from anybody, and its config names Python functions. So only the functions
listed here are built from it, with plain values as arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError

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
_REMEDIES = {"index": "choose index=hnsw, brute_force, exact, auto or faiss"}
_REMEDY = "use a run folder that you trust and mend its config"


def trusted_group(config: DictConfig, group: str, folder: Path) -> DictConfig:
    """Take a group of a run folder's config that is safe to build.

    Args:
        config: The config of the run folder.
        group: word_vectors, backbone, projection or index.
        folder: The run folder, for messages.

    Returns:
        The group: a function of this project and plain values as its arguments.

    Raises:
        InputError: If the group names another function, holds a second one, or asks for a pickle.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    content = values.get(group) if isinstance(values, dict) else None
    target = content.get("_target_") if isinstance(content, dict) else content
    nested = str(content).count("_target_") > 1
    if (
        isinstance(content, dict)
        and target in TRUSTED[group]
        and not nested
        and not content.get(_PICKLE)
        and _has_plain_flags(content)
    ):
        return OmegaConf.create(content)
    raise InputError(
        f"{folder}: its config names {str(target)!r} as the {group}, which is not built unasked: "
        f"{_REMEDIES.get(group, _REMEDY)}"
    )


def _has_plain_flags(content: dict[Any, Any]) -> bool:
    """Tell whether Hydra's own keys are those that this project writes."""
    flags = {str(key) for key in content if str(key).startswith("_")}
    return flags <= {"_target_", "_partial_"} and isinstance(content.get("_partial_", False), bool)
