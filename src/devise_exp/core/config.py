"""The configs of this project, composed outside of train.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import warn
from devise_exp.core.errors import InputError
from devise_exp.core.overrides import quoted_arguments, quoted_value
from devise_exp.core.paths import CONF
from devise_exp.core.short_forms import long_forms
from devise_exp.core.spelling import nearest_spellings

# Groups whose options stand beside each other; of any other a second would change the first.
_TAKE_SEVERAL = ("method", "experiment", "callbacks", "logger")
# Its keys are of ASCII.
_NAME_AS_KEY = re.compile(r"\+*labels\.(aliases|merges)\.(.*)=")
# Groups that every run reads and that have no option "none".
_NEEDED = (
    "data", "split", "labels", "word_vectors", "backbone", "projection", "loss", "optimizer",
    "trainer", "index",
)  # fmt: skip
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


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
    overrides = quoted_arguments(overrides)
    check_arguments(overrides)
    overrides = long_forms(overrides)
    search = [f"hydra.searchpath=[{quoted_value(f'file://{more.absolute()}')}]"] if more else []
    with _other_hydra_aside(), initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, overrides=[*overrides, *search])


@contextmanager
def _other_hydra_aside() -> Iterator[None]:
    """Put a Hydra that the caller, such as a notebook, has initialized for itself back after us."""
    instance = GlobalHydra.instance()
    theirs, instance.hydra = instance.hydra, None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs


def dotted_keys(config: DictConfig) -> list[str]:
    """List the keys of a config.

    Args:
        config: The config; values may be missing.

    Returns:
        Every key with those above it, as `trainer.max_epochs`; sections too, before their keys.
    """

    def below(section: Mapping[Any, Any], start: str) -> Iterator[str]:
        for key, value in section.items():
            yield f"{start}{key}"
            if isinstance(value, dict):
                yield from below(value, f"{start}{key}.")

    content: Any = OmegaConf.to_container(config)
    return list(below(content, ""))


def check_arguments(arguments: Iterable[str]) -> None:
    """Check what Hydra would take without a word, or fail at without naming it.

    Args:
        arguments: Hydra's, overrides and others; what cannot be read is left to Hydra.

    Raises:
        InputError: If a group is given null, a number, a mapping or several options, a folder of
            Hydra's no name, or if a group that every run needs is taken away.

    Example:
        >>> check_arguments(["prior=null"])
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: prior=null: choose an option of conf/prior, such as none
    """
    parser, arguments = OverridesParser.create(), [*arguments]
    added = {re.split("[.=@]", a.lstrip("+"))[0] for a in arguments if a.startswith("+")}
    for argument in arguments:
        if ("=" not in argument and not argument.startswith("~")) or argument.startswith("-"):
            continue
        try:
            override = parser.parse_override(argument)
        except HydraException as error:
            if name := _NAME_AS_KEY.match(argument):
                raise InputError(
                    f"{argument}: Hydra has no key for the name {name[2]}: write a line NAME,WORD "
                    f"into a file and give it as labels.{name[1]}_file=FILE"
                ) from error
            continue
        key = override.key_or_group
        if override.is_delete() and key in _NEEDED and key not in added:
            raise InputError(
                f"{argument}: a run needs this part: choose an option of conf/{key} ({key}=...)"
            )
        if key in _FOLDERS and override.value() in ("", None):
            raise InputError(f"{argument}: no folder: give it a name, or leave {key} out")
        _check_group(argument, override)


def warn_of_sections(arguments: Iterable[str]) -> None:
    """Warn of a section that is added, ++SECTION.KEY=VALUE, and spelt nearly as a known one.

    One of another name may be meant: values can refer to it.

    Args:
        arguments: Of the command line.
    """
    sections = {
        argument: re.split(r"[./@=]", argument.lstrip("+"))[0]
        for argument in arguments
        if argument.startswith("+") and "." in argument.partition("=")[0]
    }
    if not sections:
        return
    known = [path.name for path in CONF.iterdir() if path.is_dir()]
    for name in ("config", "evaluate", "sweep"):
        known += OmegaConf.load(CONF / f"{name}.yaml")
    for argument, section in sections.items():
        if section not in known and (near := nearest_spellings(section, known, n=1)):
            warn(f"{argument}: no section {section} here: did you mean {near[0]}?")


def check_given_once(arguments: Iterable[str]) -> None:
    """Check that a command line gives each key one value: Hydra would take the last one.

    Args:
        arguments: Of the command.

    Raises:
        InputError: If two arguments give one key different values.
    """
    earlier: dict[str, str] = {}
    for argument in arguments:
        key, equal, value = argument.lstrip("+").partition("=")
        if not equal or key.startswith(("-", "~")):
            continue
        if earlier.setdefault(key, value) != value:
            raise InputError(
                f"{key} is given twice, {key}={earlier[key]} and {key}={value}: take one out"
            )


def _check_group(argument: str, override: Override) -> None:
    """InputError if a group is given what names none of its options, or several."""
    group, value = override.key_or_group, override.value()
    is_group = group.startswith("hydra/") or (group != "" and (CONF / group).is_dir())
    if is_group and not override.is_delete() and not _names_options(group, value):
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        example = "none" if "none" in options else ", ".join(options[:3])
        such_as = f", such as {example}" if options else ""
        raise InputError(f"{argument.lstrip('+')}: choose an option of conf/{group}{such_as}")


def _names_options(group: str, value: Any) -> bool:
    """Whether a group can take the value of an override; a sweep has several."""
    if isinstance(value, ChoiceSweep):
        return all(_names_options(group, item) for item in value.list)
    is_one = not isinstance(value, list) or len(value) == 1 or group in _TAKE_SEVERAL
    items = value if isinstance(value, list) else [value]
    return is_one and not any(
        item is None or isinstance(item, bool | int | float | dict) for item in items
    )
