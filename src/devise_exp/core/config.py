"""The configs of this project, composed outside of train.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException
from omegaconf import DictConfig

from devise_exp.core.command import quoted
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
        InputError: If `more` is not a folder, the configs are not installed, or an override gives
            a group no name of an option.
    """
    if more is not None and not more.is_dir():
        raise InputError(f"{more}: no such folder: give one that holds GROUP/NAME.yaml")
    if not (CONF / f"{name}.yaml").is_file():
        raise InputError(f"{CONF}: no configs there: install the package again")
    overrides = [quoted(override) for override in overrides]
    check_group_options(overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        search = [f"hydra.searchpath=['file://{more.absolute()}']"] if more else []
        return compose(name, overrides=[*overrides, *search])


def check_group_options(arguments: Iterable[str]) -> None:
    """Check that every group is given names of options, before Hydra fails without naming it.

    Args:
        arguments: Hydra's, overrides and others; what cannot be read is left to Hydra.

    Raises:
        InputError: If a group is given null, a number or a mapping.

    Example:
        >>> check_group_options(["prior=null"])
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: prior=null: choose an option of conf/prior, such as none
    """
    parser = OverridesParser.create()
    for argument in arguments:
        if "=" not in argument or argument.startswith("-"):
            continue
        try:
            override = parser.parse_override(argument)
        except HydraException:
            continue
        group, value = override.key_or_group, override.value()
        is_group = group.startswith("hydra/") or (CONF / group).is_dir()
        if is_group and not override.is_delete() and not _names_options(value):
            options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
            example = "none" if "none" in options else ", ".join(options[:3])
            such_as = f", such as {example}" if options else ""
            raise InputError(f"{argument.lstrip('+')}: choose an option of conf/{group}{such_as}")


def _names_options(value: Any) -> bool:
    """Whether a group can take the value of an override; a sweep has several."""
    if isinstance(value, ChoiceSweep):
        return all(map(_names_options, value.list))
    items = value if isinstance(value, list) else [value]
    return not any(item is None or isinstance(item, bool | int | float | dict) for item in items)
