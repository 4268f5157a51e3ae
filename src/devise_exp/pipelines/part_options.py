"""The options of the parts that Hydra builds, and their kinds: checked before anything is built.

A part of your own, and an option that is not in the table, are checked by their constructor alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines.option_errors import as_written, check_option
from devise_exp.pipelines.option_kinds import (
    Counts,
    Decay,
    Devices,
    FromOne,
    FromZero,
    Images,
    Links,
    Margin,
    Name,
    Names,
    NotNegative,
    Part,
    Path,
    PathOrNumber,
    Precision,
    Rate,
    Rates,
    Seed,
    Share,
    ShareOrOne,
    ShareOrZero,
    Shares,
    Strengths,
    Switch,
    Temperature,
    Templates,
    Text,
    Variant,
    Width,
    one_of,
)

Kinds = Mapping[str, Any]

_IMAGES: Kinds = {
    "root": PathOrNumber, "strict": Switch, "download": Switch, "name": Name,
    "levels": FromOne | one_of("leaf") | None, "parts": one_of("keep", "join") | None,
    "max_pixels": FromOne,
}  # fmt: skip
_LISTED: Kinds = {
    "root": PathOrNumber | None,
    "image": Name | None,
    "label": Name | None,
    "split": Name | None,
    "group": Name | None,
    "names": Names | PathOrNumber | None,
    "parts": _IMAGES["parts"],
    "strict": Switch,
    "name": Name,
    "max_pixels": FromOne,
}
_SPLIT: Kinds = {
    "name": Name, "seed": Seed, "val_share": Share, "test_share": Share,
    "clean": one_of("report", "require"), "n_seen": FromOne | None,
    "train_per_class": FromOne | None,
}  # fmt: skip
_OPTIMIZER: Kinds = {"lr": Rate, "weight_decay": Decay, "fused": Switch | None}
_WORDS: Kinds = {
    "path": PathOrNumber, "limit": FromOne | None, "trust_pickle": Switch, "lower": Switch,
    "format": one_of(
        "auto", "glove", "word2vec_text", "word2vec_bin", "fasttext_bin", "gensim_kv"
    ),
}  # fmt: skip
_INDEX: Kinds = {
    "method": one_of("hnsw", "brute_force"), "m": Links, "ef_construction": Width,
    "ef_search": Width | None,
}  # fmt: skip
_FAISS: Kinds = {
    "kind": one_of("flat", "hnsw", "ivf_pq"), "m": Links, "ef_construction": Width,
    "ef_search": Width | None, "lists": FromOne | None, "probes": FromOne,
    "code_bytes": Width | None, "sample": FromOne | None, "refine": FromOne,
}  # fmt: skip
_DESCRIBED: Kinds = {
    "descriptions": Path | None, "described_as": Text, "undescribed": one_of("error", "name"),
}  # fmt: skip
_SENTENCES: Kinds = {
    "templates": Templates, "glosses": one_of("auto", True, False),
    "wordnet": PathOrNumber | None, "glove_weight": ShareOrZero, **_DESCRIBED,
}  # fmt: skip
_OURS = "devise_exp."
PARTS: Mapping[str, Kinds] = {
    "torch.optim.AdamW": _OPTIMIZER,
    "torch.optim.Adagrad": _OPTIMIZER,
    "torch.optim.SGD": {**_OPTIMIZER, "momentum": ShareOrZero},
    "torch.optim.lr_scheduler.ConstantLR": {"factor": ShareOrOne, "total_iters": FromZero},
    "torch.optim.lr_scheduler.CosineAnnealingLR": {"T_max": FromOne | None, "eta_min": NotNegative},
    "pytorch_lightning.Trainer": {
        "accelerator": Text, "devices": Devices, "num_nodes": FromOne, "strategy": Text,
        "max_epochs": FromOne | None, "precision": Precision,
        "gradient_clip_val": NotNegative | None, "limit_train_batches": FromOne | ShareOrOne,
    },
    "pytorch_lightning.loggers.WandbLogger": {
        "project": Text, "offline": Switch, "group": Name | None, "tags": Names,
        "log_model": Switch,
    },
    "pytorch_lightning.loggers.CSVLogger": {"name": Text, "flush_logs_every_n_steps": FromOne},
    "pytorch_lightning.loggers.TensorBoardLogger": {"name": Text},
    "pytorch_lightning.loggers.MLFlowLogger": {
        "experiment_name": Text, "tracking_uri": Text | None,
    },
    "pytorch_lightning.callbacks.LearningRateMonitor": {
        "logging_interval": one_of("step", "epoch") | None,
    },
    "pytorch_lightning.callbacks.RichModelSummary": {"max_depth": FromOne},
    "optuna.samplers.TPESampler": {
        "n_startup_trials": FromZero, "multivariate": Switch, "constant_liar": Switch,
    },
    "optuna.pruners.MedianPruner": {"n_startup_trials": FromZero, "n_warmup_steps": FromZero},
    f"{_OURS}pipelines.sweep.executors.processes.Processes": {"workers": FromOne | None},
    f"{_OURS}pipelines.sweep.executors.ray_tasks.RayTasks": {
        "address": Text | None, "workers": FromOne | None, "retries": FromZero,
        "num_cpus": FromOne,
    },
    f"{_OURS}pipelines.sweep.executors.submitit_jobs.SubmititJobs": {
        "cluster": one_of("slurm", "local"), "workers": FromOne | None, "retries": FromZero,
        "timeout_min": FromOne, "cpus_per_task": FromOne,
    },
    f"{_OURS}methods.losses.softmax": {"temperature": Temperature},
    f"{_OURS}methods.losses.hinge_rank": {
        "margin": Margin, "violators": one_of("all", "first"),
    },
    f"{_OURS}methods.projection.mlp": {
        "hidden": Width, "dropout": ShareOrZero, "norm": one_of("none", "batch"),
    },
    f"{_OURS}methods.prior.priors": {
        "weights": Strengths, "temperature": Temperature, "top": FromOne,
    },
    f"{_OURS}methods.baselines.ALE": {"rates": Rates},
    f"{_OURS}methods.baselines.SJE": {"rates": Rates},
    f"{_OURS}methods.baselines.LATEM": {"maps": Counts, "rates": Rates},
    f"{_OURS}methods.baselines.SynC": {"strengths": Rates, "widths": Rates},
    f"{_OURS}methods.baselines.ClassNorm": {"scales": Rates, "steps": FromOne},
    f"{_OURS}methods.baselines.CVAE": {
        "kl_weights": Rates, "images": FromOne, "steps": FromOne,
    },
    f"{_OURS}methods.baselines.PredictedClassifiers": {
        "shrinkages": Shares, "taus": Rates, "ridges": Rates,
    },
    f"{_OURS}methods.baselines.ClassifierShares": {
        "shares": Shares, "shrinkages": Shares, "taus": Rates, "ridges": Rates,
    },
    f"{_OURS}methods.baselines.WithPrior": {
        "method": Part, "weights": Strengths, "temperature": Temperature, "top": FromOne,
    },
    f"{_OURS}methods.baselines.ClipZeroShot": {"templates": Templates | None},
    f"{_OURS}index.NmslibIndex": _INDEX,
    f"{_OURS}index.FaissIndex": _FAISS,
    f"{_OURS}data.splits.random_split": {**_SPLIT, "n_unseen": FromOne | None},
    f"{_OURS}data.audited_split.clean_split": {**_SPLIT, "n_unseen": FromOne | None},
    f"{_OURS}data.splits.named_split": {
        **_SPLIT, "unseen": Names | None, "unseen_file": PathOrNumber | None,
    },
    f"{_OURS}data.published_split.folders_split": {
        **_SPLIT, "n_unseen": FromOne | None, "unseen": Names | None,
        "unseen_file": PathOrNumber | None,
    },
    f"{_OURS}data.base_to_new.base_to_new_split": {
        "shots": FromOne, "val_shots": FromOne, "seed": Seed, "unseen": Names | None,
        "test_share": Share | None, "clean": one_of("report", "require"),
        "unseen_file": PathOrNumber | None, "file": PathOrNumber | None,
    },
    f"{_OURS}data.xlsa17.split.proposed_split": {**_SPLIT, "root": PathOrNumber},
    f"{_OURS}data.tables.image_table": {**_LISTED, "file": Names | PathOrNumber},
    f"{_OURS}data.shards.webdataset": {**_LISTED, "root": PathOrNumber},
    f"{_OURS}data.hub_sets.hugging_face": {
        **_LISTED, "path": PathOrNumber, "config": Name | None,
    },
    f"{_OURS}data.caltech.caltech101": {**_IMAGES, "root": PathOrNumber | None},
    **{
        f"{_OURS}data.{name}": _IMAGES
        for name in (
            "caltech.caltech256", "torchvision_sets.cifar100", "torchvision_sets.flowers102",
            "torchvision_sets.food101", "folders.image_folder", "imagenet_sets.imagenet",
            "imagenet_sets.tiny_imagenet200", "intel.intel_scenes", "xlsa17.dataset.xlsa17_dataset",
        )
    },
    f"{_OURS}features.backbones.efficientnet_lite.efficientnet_lite": {
        "variant": Variant, "trainable": Switch,
    },
    f"{_OURS}features.backbones.torchvision.torchvision_backbone": {
        "arch": Text, "weights": PathOrNumber | None, "layer": Text, "trainable": Switch,
        "seed": Seed,
    },
    f"{_OURS}features.backbones.timm.timm_backbone": {
        "name": Text, "pretrained": Switch, "file": PathOrNumber | None, "trainable": Switch,
    },
    f"{_OURS}features.backbones.open_clip.open_clip_backbone": {
        "pretrained": Path, "name": Text | None, "preprocess": Text | Images | None,
        "trainable": Switch,
    },
    f"{_OURS}features.backbones.published.res101": {"trainable": Switch},
    f"{_OURS}text.word_vectors.load_word_vectors": _WORDS,
    f"{_OURS}text.word_vectors.glove_6b_50d": {"limit": FromOne | None},
    f"{_OURS}text.word_vectors.gensim_download": {"name": Text, "limit": FromOne | None},
    f"{_OURS}text.word_vectors.random_word_vectors": {"dim": Width, "seed": Seed},
    f"{_OURS}text.attributes.xlsa17_attributes": {
        "root": PathOrNumber, "name": Name, "file": Path,
    },
    f"{_OURS}text.class_table.class_table": {"path": PathOrNumber, "names": PathOrNumber | None},
    f"{_OURS}text.open_clip_text.open_clip_text": {
        "pretrained": Path | None, "name": Text | None, "preprocess": Text | Images | None,
        "templates": Templates, **_DESCRIBED,
    },
    f"{_OURS}text.sentence_vectors.sentence_minilm": _SENTENCES,
    f"{_OURS}text.sentence_vectors.sentence_encoder": {"model": Path, **_SENTENCES},
}  # fmt: skip


def check_parts(config: DictConfig) -> None:
    """Check every option of the parts of a config.

    Args:
        config: Of train.py.

    Raises:
        InputError: If an option has a value that it cannot take; it names the option, its value and
            what to give instead.
    """
    for key in map(str, config):
        if OmegaConf.is_dict(OmegaConf.select(config, key, throw_on_missing=False)):
            for path, part in _parts(key, config[key]):
                check_part(path, part)


def check_part(path: str, part: DictConfig) -> None:
    """Check the options of one part.

    Args:
        path: Its key in the config, such as loss.
        part: A node with `_target_`.

    Raises:
        InputError: If an option has a value that it cannot take.
    """
    kinds = PARTS.get(str(part._target_), {})
    for name in map(str, part):
        value = part[name]  # Hydra's error if it is needed and not given
        if name in kinds:
            check_option(f"{path}.{name}", value, kinds[name])
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{path}.{name}={as_written(value)}: give a finite number")


def _parts(path: str, node: DictConfig) -> Iterator[tuple[str, DictConfig]]:
    """The nodes of a config that Hydra builds something of, with their keys."""
    if "_target_" in list(node):  # `in node` denies one that is needed and not given
        yield path, node
    for key in map(str, node):
        if OmegaConf.is_dict(OmegaConf.select(node, key, throw_on_missing=False)):
            yield from _parts(f"{path}.{key}", node[key])
