"""The configs of this project, composed outside of train.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.core.paths import CONF


def compose_config(
    overrides: Sequence[str], name: str = "config", more: Path | None = None
) -> DictConfig:
    """Compose a config as train.py gets it.

    Args:
        overrides: Hydra's overrides, as `["loss=cosine"]`.
        name: The primary config: config, evaluate, sweep ...
        more: A folder with further options, GROUP/NAME.yaml.

    Returns:
        The config, with interpolations unresolved.

    Raises:
        InputError: If `more` is not a folder, or the configs are not installed.
    """
    if more is not None and not more.is_dir():
        raise InputError(f"{more}: no such folder: give one that holds GROUP/NAME.yaml")
    if not (CONF / f"{name}.yaml").is_file():
        raise InputError(f"{CONF}: no configs there: install the package again")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        search = [f"hydra.searchpath=['file://{more.absolute()}']"] if more else []
        return compose(name, overrides=[*overrides, *search])
