"""The options of a config group, as errors and --help list them."""

from __future__ import annotations

from collections.abc import Iterable

from devise_exp.core.paths import CONF


def options(group: str) -> str:
    """options("loss") -> the names of the files in conf/loss, joined by commas."""
    return ", ".join(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


def last_given(arguments: Iterable[str]) -> list[str]:
    """Arguments of a command, of each key the last one: a person may give it once."""
    given = list(arguments)
    last = {argument.partition("=")[0].lstrip("+"): i for i, argument in enumerate(given)}
    return [
        argument
        for i, argument in enumerate(given)
        if "=" not in argument or last[argument.partition("=")[0].lstrip("+")] == i
    ]
