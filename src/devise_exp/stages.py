"""The stages of a training, which all ranks take together: features, the map, the network.

Rank 0 calls `features`, `fit_map` and `fit_network`; that tells the others, who `take_part`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf

from devise_exp import fitting
from devise_exp.checkpoint import load_weights
from devise_exp.errors import InputError
from devise_exp.features import share_of
from devise_exp.launchers import place_of
from devise_exp.prepare import Prepared, features_of, prepare
from devise_exp.processes import Crew, crew, has_crew
from devise_exp.ranks import Order, Seat, gpu_of, say_rows
from devise_exp.run_folder import RunFolder
from devise_exp.training import BEST, quiet


def all_ranks(config: DictConfig) -> AbstractContextManager[Crew]:
    """The other ranks that config.trainer asks for; those that this starts stay until it ends."""
    place = None if has_crew() else place_of(os.environ)
    if place is not None:
        raise InputError(
            f"{place.launcher} has started {place.world} processes for a job that is not train.py "
            "itself: give each job of a sweep one task (hydra.launcher.tasks_per_node=1)"
        )
    return crew(*fitting.processes_of(config))


def features(config: DictConfig, parts: Prepared, tuned: RunFolder | None = None) -> np.ndarray:
    """(N, feature_dim) of parts.dataset under parts.backbone, from the cache or by all ranks;
    tuned: the run that has trained the network.
    """
    checkpoint = None if tuned is None else str((tuned.checkpoints / BEST).resolve())
    with all_ranks(config) as others:

        def helpers(key: str, start: int) -> AbstractContextManager[list[Iterator[bytes]]]:
            order = _order("features", config, key=key, start=start, checkpoint=checkpoint)
            return others.extracting(order)

        gpu = gpu_of(config.trainer.devices, 0)
        if others.size == 1:
            return features_of(config, parts)
        return features_of(config, parts, helpers, world=others.size, gpu=gpu)


def fit_map(
    config: DictConfig, run: RunFolder, parts: Prepared, features: np.ndarray, logger: Any = False
) -> fitting.Trained:
    """The map alone, on features (N, feature_dim) of the backbone, on all devices of the config."""
    with all_ranks(config) as others, others.training(_order("map", config, run)):
        return fitting.fit_map(config, run, parts, features, logger)


def fit_network(
    config: DictConfig, run: RunFolder, parts: Prepared, logger: Any = False
) -> fitting.Trained:
    """The map that `fit_map` has left in the run folder and the network of parts.backbone, which is
    changed in place.
    """
    with all_ranks(config) as others, others.training(_order("network", config, run)):
        return fitting.fit_network(config, run, parts, logger)


def take_part(order: Order, seat: Seat) -> None:
    """What any other rank does when rank 0 is in `features`, `fit_map` or `fit_network`."""
    quiet()
    config = cast(DictConfig, OmegaConf.create(order.config))
    parts, run = prepare(config), RunFolder(Path(order.run))
    if order.stage == "features":
        _make_share(config, parts, order, seat)
        return
    if not run.path.is_dir():
        raise InputError(f"{run.path} is not there: set hydra.run.dir to a folder all nodes share")
    if order.stage == "map":
        fitting.fit_map(config, run, parts, features_of(config, parts), logger=False)
    else:
        fitting.fit_network(config, run, parts, logger=False)


def _order(stage: str, config: DictConfig, run: RunFolder | None = None, **more: Any) -> Order:
    folder = "" if run is None else str(run.path.resolve())
    return Order(stage, OmegaConf.to_yaml(config, resolve=True), folder, **more)


def _make_share(config: DictConfig, parts: Prepared, order: Order, seat: Seat) -> None:
    """Send rank 0 the rows of the bank that are this rank's."""
    if order.checkpoint is not None:
        load_weights(fitting.untrained(config, parts), Path(order.checkpoint))
    share = {"rank": seat.rank, "world": seat.world}
    share["gpu"] = gpu_of(config.trainer.devices, seat.local)
    settings = {**config.features, **share}
    for rows in share_of(order.key, order.start, parts.dataset, parts.backbone, **settings):
        say_rows(rows)
