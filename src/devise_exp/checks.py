"""Before a run: every part of a config built once, and what a person should know of its data."""

from __future__ import annotations

import re

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp import choices, fitting, labels, protocols, report
from devise_exp.errors import InputError, option, say
from devise_exp.prepare import Prepared
from devise_exp.protocols import MODEL
from devise_exp.run_folder import SPACES


def check(config: DictConfig, parts: Prepared) -> None:
    """Every part built and every option looked at before anything is written; InputError for a
    wrong one.
    """
    fitting.check(config, parts)
    for protocol in protocols.between(parts.split.seen, parts.split.unseen):
        protocols.ks_of(protocol, config.ks)
    if config.logger:
        report.check_wandb(config.logger.offline)
    if not isinstance(config.train_figures, bool):
        raise InputError(f"train_figures={config.train_figures}: say true or false")
    others = SPACES[1:]
    if isinstance(config.spaces, str) or not set(config.spaces) <= set(others):
        raise InputError(f"spaces={config.spaces}: give a list of {' and '.join(others)}, or []")
    if "_target_" not in (config.index or {}):
        raise InputError("index=own is for evaluate.py: choose hnsw, brute_force, exact or auto")
    with option("index"):
        instantiate(config.index)(parts.class_vectors[:2])
    if config.prior and parts.pretraining is not None:
        with option("prior"):
            instantiate(config.prior)(parts.pretraining)
    _check_methods(config)
    choices.read(config, parts)


def _check_methods(config: DictConfig) -> None:
    for name, spec in (config.method or {}).items():
        if not OmegaConf.is_dict(spec) or not re.fullmatch(r"\w+", str(name)) or name == MODEL:
            raise InputError(
                f"method.{name}: give a method of conf/method by a name of letters, digits and _, "
                f"or leave it out with '~method.{name}'"
            )
        loss = spec.get("loss", config.loss)
        if "_target_" not in spec and not OmegaConf.is_dict(loss):
            raise InputError(f"method.{name}.loss={loss}: give a loss as in conf/loss")
        with option(f"method.{name}"):
            instantiate(spec if "_target_" in spec else loss)


def announce(parts: Prepared) -> None:
    """What the run is about to use, and warnings that a person should see before they trust a
    table.
    """
    split, how = parts.split, labels.summary(parts.resolutions)
    words = ", ".join(f"{n} {name}" for name, n in how.items() if n)
    say(f"{len(parts.dataset.rows)} pictures of {parts.dataset.name}; classes by words: {words}")
    say(
        f"split {split.name} ({split.fingerprint}): {len(split.seen)} seen and "
        f"{len(split.unseen)} unseen classes"
    )
    if parts.dataset.skipped:
        shown = "; ".join(parts.dataset.skipped[:3])
        say(f"warning: skipped {len(parts.dataset.skipped)}: {shown} (all in about.json)")
    if len(split.unseen) == 1:
        say("warning: among a single unseen label every hit@k is 100: hold out more classes")
    if parts.audit.leaked:
        say(
            f"warning: {len(parts.audit.leaked)} of {len(split.unseen)} unseen classes were in "
            f"the backbone's pretraining: {', '.join(parts.audit.leaked)} (about.json says how)"
        )
    if not parts.audit.checked_by:
        say("warning: the backbone's pretraining classes are unknown, so no leak could be audited")
