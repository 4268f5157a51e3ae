"""Every command on a page could be typed: its command, its options and their groups exist."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.pages import PAGES, page_id
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from typer.main import get_command

from devise_exp.core.config import compose_config, dotted_keys
from devise_exp.core.errors import InputError
from devise_exp.core.paths import CONF
from devise_exp.core.short_forms import long_forms
from devise_exp.pipelines.settings import read_evaluation, read_settings
from devise_exp.ui.cli.main import app

GROUP: Any = get_command(app)
CommandError = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
COMMAND = re.compile(r"(?<![\w/.-])(?:(train|evaluate)\.py|(devise-exp))(?= |$)(.*)")
INDENTED = re.compile(r"^ {4}((?:python|devise-exp) (?:.*\\\n)*.*\n)", re.MULTILINE)
WRAPPED = re.compile(r"^sbatch .*--wrap '([^']*)'$")
# What stands for the names that only a reader knows, and for words such as OPTIONS.
NAMES = {"experiment=NAME": "experiment=clip", "study=NAME": "study=head"}
CONFIGS = {"evaluate": "evaluate", "sweep": "sweep"}
READERS: dict[str, Any] = {"config": read_settings, "evaluate": read_evaluation}
WORDS = {"...", "OPTIONS", "…"}
LAUNCHERS = {"joblib", "ray", "submitit_slurm"}  # the last two are no part of `make setup`


def commands(page: Path) -> list[str]:
    """The commands of a page: the lines of its blocks, and code within its text."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    shell = [block for language, block in blocks if language in ("", "bash")]
    shell += INDENTED.findall(text)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    codes = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    lines = "\n".join(shell).replace("\\\n", " ").splitlines()
    lines, codes = ([WRAPPED.sub(r"\1", line) for line in part] for part in (lines, codes))
    lines_of_commands = (
        f"{match[1] or match[2]} {re.split(r' > | [|] | && ', match[3])[0].strip()}"
        for line in [*lines, *codes]
        for match in COMMAND.finditer(line)
    )
    return list(dict.fromkeys(lines_of_commands))


@cache
def fault(command: str) -> str:
    """What is wrong with a command, "" if nothing is."""
    name, *arguments = [word for word in shlex.split(command, comments=True) if word not in WORDS]
    if name == "devise-exp" and (not arguments or arguments[0] in ("COMMAND", "--help")):
        return ""
    if name == "devise-exp":
        name, *arguments = arguments
    if not arguments or {"--help", "--cfg", "--hydra-help"} & set(arguments):
        return "" if name in GROUP.commands else f"{command}: no such command"
    try:
        if name not in ("train", "evaluate"):
            arguments = _overrides(name, arguments)
        unknown = _unknown_keys(CONFIGS.get(name, "config"), long_forms(arguments))
    except Exception as error:
        if not isinstance(error, InputError | HydraException | CommandError):
            raise
        return f"{command}: {error}"
    return f"{command}: no option {unknown}" if unknown else ""


def _overrides(name: str, arguments: list[str]) -> list[str]:
    """Let the command of devise-exp parse its arguments, and take Hydra's of them."""
    if name not in GROUP.commands:
        raise InputError(f"no command {name}")
    context = GROUP.commands[name].make_context(name, list(arguments))
    if name not in ("sweep", "look"):
        return []
    (overrides,) = (value for value in context.params.values() if isinstance(value, list | tuple))
    return [*overrides, *(["--config-dir", "-"] if context.params["config_dir"] else [])]


def _unknown_keys(config: str, arguments: list[str]) -> list[str]:
    """The keys that a config with the chosen groups lacks; of a grid the first choice counts.

    Values are checked too, as train.py and evaluate.py do.
    """
    has_options = "--config-dir" in arguments
    if has_options:
        at = arguments.index("--config-dir")
        arguments = arguments[:at] + arguments[at + 2 :]
    chosen, groups, keys = [], [], []
    for argument in [NAMES.get(argument, argument) for argument in arguments if argument != "-m"]:
        override = OverridesParser.create().parse_override(argument)
        key, value = override.key_or_group, argument.partition("=")[2]
        if override.is_sweep_override():
            value = next(override.sweep_string_iterator())
        if key == "hydra/launcher":
            assert value in LAUNCHERS
            continue
        if has_options and key in ("experiment", "study"):
            continue
        if not key.startswith("hydra."):
            chosen.append(f"{argument.partition('=')[0]}={value}")
        if (CONF / key).is_dir():
            groups.append(f"{key}={value}")
        else:
            keys += [key] * (not argument.startswith(("+", "hydra.")))
    if config not in READERS or any(value.endswith("=") for value in chosen):  # checkpoint= alone
        known = _keys(config, tuple(groups))
        return [key for key in keys if key not in known]
    if config == "evaluate" and "run_dir" not in keys:  # a text may name other options alone
        chosen.append("run_dir=RUN")
    READERS[config](compose_config(chosen, config))  # which knows the keys, too
    return []


@cache
def _keys(config: str, groups: tuple[str, ...]) -> frozenset[str]:
    return frozenset(dotted_keys(compose_config(groups, config)))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    assert [line for line in map(fault, commands(page)) if line] == []


@pytest.mark.parametrize(
    "command",
    [
        "train loss=cosin",
        "train trainer.max_epoch=3",
        "devise-exp serch RUN helicopter",
        "devise-exp search RUN helicopter --amongst unseen",
        "devise-exp tag RUN",
        "devise-exp sweep study=heads",
        "devise-exp train data.rot=FOLDER",
        "evaluate run_dir=outputs/latest kss=[1,4]",
        "train trainer.max_epochs=ten",
        "train loss=cosine,hinge_rank loss.margin=-1,2 -m",
    ],
)
def test_a_command_with_a_fault_is_seen(command: str) -> None:
    assert fault(command)


def test_the_pages_hold_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 150
