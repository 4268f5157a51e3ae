"""The options of a config group, as errors and --help list them."""

from __future__ import annotations

from devise_exp.core.paths import CONF


def options(group: str) -> str:
    """options("loss") -> the names of the files in conf/loss, joined by commas."""
    return ", ".join(sorted(path.stem for path in (CONF / group).glob("*.yaml")))
