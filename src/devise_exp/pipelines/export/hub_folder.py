"""A folder in the shape of a model hub: model card, config, weights as safetensors."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.features.backbones.base import Backbone
from devise_exp.pipelines.export.architecture import describe_network, describe_projection
from devise_exp.pipelines.export.contents import MARK, check_free, describe
from devise_exp.pipelines.export.model import WholeModel
from devise_exp.reports.comparison import of_methods
from devise_exp.reports.comparison_formats import FORMATS
from devise_exp.runs import results
from devise_exp.runs.arrays import from_classifiers
from devise_exp.search.encoder import load_model
from devise_exp.search.saved_run import Run

WEIGHTS, CARD, CONFIG = "model.safetensors", "README.md", "config.json"
CLASSIFIERS = "word_classifiers"  # tensors of predicted classifiers begin so


def export_hub(run: Run, output: Path, licence: str | None = None) -> dict[str, Any]:
    """Write a run as a folder that a model hub takes.

    Args:
        run: The run.
        output: A new folder, or that of an export, which is replaced.
        licence: Identifier of the licence of the weights, such as "apache-2.0"; None: "other".

    Returns:
        The content of config.json.

    Raises:
        InputError: safetensors is missing, or the model cannot be described.
    """
    if find_spec("safetensors") is None:
        raise InputError("export --format hub needs safetensors: pip install 'devise-exp[export]'")
    from safetensors.torch import save_file

    check_free(output)
    saved = load_model(run.folder, run.class_vectors.shape[1])
    model = WholeModel.of(saved)
    content = describe(run, saved.backbone) | _architecture(run, model, saved.backbone)
    tensors = dict(model.state_dict())
    tensors["class_vectors"] = torch.tensor(run.labels)
    tensors["centre"] = torch.tensor(np.asarray(run.centre, dtype=np.float32))
    if saved.trained.classifiers is not None:
        arrays = from_classifiers(saved.trained.classifiers)
        tensors |= {f"{CLASSIFIERS}.{key}": torch.tensor(array) for key, array in arrays.items()}
    with atomic_path(output) as folder:
        folder.mkdir()
        copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
        save_file(copies, folder / WEIGHTS, metadata={"format": "pt"})
        text = json.dumps(content, indent=1)
        (folder / CONFIG).write_text(text, encoding="utf-8")
        (folder / MARK).write_text(json.dumps({"format": "hub"}), encoding="utf-8")
        (folder / CARD).write_text(_card(run, content, licence), encoding="utf-8")
        # safetensors lets nobody else read its file; the folder is to be shared.
        (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)
    return content


def _architecture(run: Run, model: WholeModel, backbone: Backbone) -> dict[str, Any]:
    """What rebuilds the modules that the weights are of; no paths of this machine."""
    shapes = {name: list(tensor.shape) for name, tensor in model.projection.state_dict().items()}
    prior, config = model.prior, run.folder.config()
    modules = {"modules": str(model.projection).splitlines(), "shapes": shapes}
    return {
        "model_type": "devise",
        "network": describe_network(config, backbone),
        "projection": modules | (describe_projection(config) or {}),
        "prior": None
        if prior is None
        else {"strength": prior.strength, "temperature": prior.temperature, "top": prior.top},
        "dim": int(run.labels.shape[1]),
    }


def _card(run: Run, content: dict[str, Any], licence: str | None) -> str:
    """The model card."""
    about, seen = content["about"], content["seen"]
    table = FORMATS["markdown"](of_methods([results.read(run.folder.path)]))
    stated = f"The weights are published under {licence}." if licence else "None was stated."
    texts = {key: printable(about.get(key, "unknown")) for key in ("data", "backbone")}
    template = files("devise_exp.pipelines.export").joinpath("assets/model_card.md")
    return template.read_text(encoding="utf-8").format(
        licence=licence or "other",
        title=f"DeViSE on {texts['data']}",
        split=printable(about.get("split/name", "unknown")),
        word_vectors=printable(about.get("word_vectors", "unknown")),
        n_seen=sum(seen),
        n_unseen=len(seen) - sum(seen),
        table=table.strip(),
        licence_line=stated,
        **texts,
    )
