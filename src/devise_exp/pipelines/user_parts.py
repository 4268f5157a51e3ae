"""Parts of a user's own in a config: checked before they are built, and announced."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.core.user_code import check_call, locate, use_working_folder
from devise_exp.runs.trusted_config import refuse_untrusted, user_parts

Part = TypeVar("Part")
# What the parts of a group are called with later, by position.
_LATER: Mapping[str, tuple[str, ...]] = {
    "loss": ("embeddings", "targets", "class_vectors"),
    "projection": ("feature_dim", "dim"),
    "optimizer": ("parameters",),
    "scheduler": ("optimizer",),
    "split": ("data",),
    "index": ("vectors",),
    "prior": ("pretraining",),
    "method": ("task", "folds"),
}
_FLAGS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
_announced: set[str] = set()  # a grid and a series say it once


def use_user_parts(config: DictConfig, quietly: bool = False) -> None:
    """Import the parts of a config that are a user's own, and check how they will be called.

    Args:
        config: Of train.py.
        quietly: Whether nobody is told that there are some.

    Raises:
        InputError: A part is not there, cannot be imported, or takes other arguments.
    """
    parts = user_parts(config)
    if not parts:
        return
    use_working_folder()
    for path, part in parts.items():
        _check(path, part)
    names = listed(f"{path}={part['_target_']}" for path, part in parts.items())
    if not quietly and names not in _announced:
        _announced.add(names)
        notify(
            f"parts of your own: {names}; what reads the run builds them with --trust, evaluate "
            "and resume with trust=true"
        )


def trusted_config(command: DictConfig, saved: DictConfig, folder: Path) -> DictConfig:
    """Take the config of a folder that a training goes on in.

    Args:
        command: Of train.py, whose `trust` says whether the folder is trusted.
        saved: Of the folder.
        folder: The folder, for messages.

    Returns:
        The config of the folder.

    Raises:
        InputError: It holds parts of somebody's own and is not trusted.
    """
    if not command.get("trust"):
        refuse_untrusted(saved, str(folder), "if you trust it, add trust=true")
    return saved


def user_target(config: DictConfig, group: str) -> str | None:
    """Look up a part of a user's own.

    Args:
        config: Of train.py.
        group: Key of the part.

    Returns:
        Its `_target_`; None if the part is of this project or of a library.
    """
    part = config.get(group)
    if not OmegaConf.is_dict(part) or "_target_" not in part:
        return None
    plain = OmegaConf.create({group: OmegaConf.to_container(part, resolve=True)})
    return str(part._target_) if group in user_parts(plain) else None


def built(part: Any, kind: type[Part], group: str, config: DictConfig) -> Part:
    """Check what a function of a config has given.

    Args:
        part: What it has given.
        kind: What it should give.
        group: Key of the part.
        config: Of train.py.

    Returns:
        The part.

    Raises:
        InputError: It is of another kind.
    """
    if isinstance(part, kind):
        return part
    raise InputError(
        f"{group}: {config[group].get('_target_')} gives a {type(part).__name__}: it has to give a "
        f"{kind.__module__}.{kind.__name__}"
    )


def _check(path: str, part: Mapping[str, Any]) -> None:
    """InputError for a part that cannot be imported or called."""
    function = locate(str(part["_target_"]), path)
    given = {key: value for key, value in part.items() if key not in _FLAGS}
    group, _, rest = path.partition(".")
    later = _LATER.get(path if group != "method" or rest.endswith(".loss") else group, ())
    if path.endswith(".loss"):
        later = _LATER["loss"]
    is_partial = bool(part.get("_partial_"))
    if is_partial and not later:
        return  # what it gets later is between it and the part that holds it
    if group == "logger" and "save_dir" not in given and _takes(function, "save_dir"):
        given["save_dir"] = None  # it gets the run folder
    is_called = is_partial and not (later is _LATER["loss"] and inspect.isclass(function))
    try:
        check_call(function, path, given, later if is_called else ())
    except InputError as error:
        if later and not is_partial and not inspect.isclass(function):
            raise InputError(f"{error}: add {path}._partial_=true") from error
        raise


def _takes(function: Any, name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
