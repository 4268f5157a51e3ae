"""Before a run: every part of a config built once, and what a person should know of its data."""

from __future__ import annotations

import re
from functools import partial

import torch
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.evaluation.protocols import MODEL, ks_of, standard_protocols
from devise_exp.pipelines import reused_hyperparameters
from devise_exp.pipelines.fit import build_method, build_module, fit_to, seen_vectors
from devise_exp.pipelines.prepare import ExperimentData
from devise_exp.reports.wandb import check_wandb
from devise_exp.runs.folder import SPACES
from devise_exp.text import labels
from devise_exp.training.batches import image_inputs

REPORTS = ("html", "none")


def check(config: DictConfig, data: ExperimentData) -> None:
    """Every part built and every option looked at before anything is written; InputError for a
    wrong one.
    """
    check_training(config, data)
    for protocol in standard_protocols(data.split.seen, data.split.unseen):
        ks_of(protocol, config.ks)
    if config.logger:
        check_wandb(config.logger.offline)
    if not isinstance(config.train_metrics, bool):
        raise InputError(f"train_metrics={config.train_metrics}: say true or false")
    if config.report not in REPORTS:
        raise InputError(f"report={config.report}: say {' or '.join(REPORTS)}")
    others = SPACES[1:]
    if isinstance(config.spaces, str) or not set(config.spaces) <= set(others):
        raise InputError(f"spaces={config.spaces}: give a list of {' and '.join(others)}, or []")
    if "_target_" not in (config.index or {}):
        raise InputError("index=saved is for evaluate.py: choose hnsw, brute_force, exact or auto")
    with as_input_error("index"):
        instantiate(config.index)(data.class_vectors[:2])
    if config.prior and data.pretraining is not None:
        with as_input_error("prior"):
            instantiate(config.prior)(data.pretraining)
    _check_methods(config, data)
    reused_hyperparameters.read(config, data)


def _check_methods(config: DictConfig, data: ExperimentData) -> None:
    for name, spec in (config.method or {}).items():
        if not OmegaConf.is_dict(spec) or not re.fullmatch(r"\w+", str(name)) or name == MODEL:
            raise InputError(
                f"method.{name}: give a method of conf/method by a name of letters, digits and _, "
                f"or leave it out with '~method.{name}'"
            )
        loss = spec.get("loss", config.loss)
        if "_target_" not in spec and not OmegaConf.is_dict(loss):
            raise InputError(f"method.{name}.loss={loss}: give a loss as in conf/loss")
        with as_input_error(f"method.{name}"):
            instantiate(loss)
            build_method(config, str(name), spec, data, partial(fit_to, config))


def announce(data: ExperimentData) -> None:
    """What the run is about to use, and warnings that a person should see before they trust a
    table.
    """
    split, how = data.split, labels.count_rules(data.resolutions)
    words = ", ".join(f"{n} {name}" for name, n in how.items() if n)
    notify(f"{len(data.dataset.rows)} pictures of {data.dataset.name}; classes by words: {words}")
    notify(
        f"split {split.name} ({split.fingerprint}): {len(split.seen)} seen and "
        f"{len(split.unseen)} unseen classes"
    )
    if data.dataset.skipped:
        shown = "; ".join(data.dataset.skipped[:3])
        notify(f"warning: skipped {len(data.dataset.skipped)}: {shown} (all in about.json)")
    if len(split.unseen) == 1:
        notify("warning: among a single unseen label every hit@k is 100: hold out more classes")
    if data.audit.overlapping:
        notify(
            f"warning: {len(data.audit.overlapping)} of {len(split.unseen)} unseen classes were in "
            f"the backbone's pretraining: {', '.join(data.audit.overlapping)} (about.json says how)"
        )
    if not data.audit.checked_by:
        notify(
            "warning: the backbone's pretraining classes are unknown, so overlap was not audited"
        )


def check_training(config: DictConfig, data: ExperimentData) -> None:
    """Build every part once, so that a wrong option ends the run before anything is written."""
    if not isinstance(config.seed, int):
        raise InputError(f"seed={config.seed}: give a whole number from 0 on")
    for key, least in (
        ("trainer.max_epochs", 1),
        ("training.batch_size", 1),
        ("training.num_workers", 0),
        ("tuning.max_epochs", 1),
        ("tuning.batch_size", 1),
        ("tuning.num_workers", 0),
    ):
        value = OmegaConf.select(config, key)
        if not isinstance(value, int) or value < least:
            raise InputError(f"{key}={value}: give a whole number from {least} on")
    patience = config.training.patience
    if patience is not None and (not isinstance(patience, int) or patience < 1):
        raise InputError(f"training.patience={patience}: give a whole number from 1 on, or null")
    if data.backbone.trainable:
        image_inputs(data.dataset, data.backbone)
    clipped = config.trainer.gradient_clip_val is not None
    if clipped and "mixed" in str(config.trainer.precision) and config.optimizer.get("fused"):
        raise InputError(
            f"trainer.precision={config.trainer.precision} cannot clip gradients of a fused "
            "optimizer: set optimizer.fused=false"
        )
    with as_input_error("seed or projection"):
        module = build_module(config, data.backbone.feature_dim, seen_vectors(data))
        embeddings = module(torch.zeros(2, data.backbone.feature_dim))
    with as_input_error("loss"):
        module.loss(embeddings, torch.zeros(2, dtype=torch.int64), module.class_vectors)
    with as_input_error("optimizer or scheduler"):
        module.configure_optimizers()
    with as_input_error("trainer"):
        # As in `fit`, or Lightning would look for Slurm and have its own say.
        environment = LightningEnvironment()
        instantiate(config.trainer)(logger=False, enable_checkpointing=False, plugins=[environment])
