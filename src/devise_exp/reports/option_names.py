"""Settings as a person types them: the option of a group, not the function that it names."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from devise_exp.core.paths import CONF

_YAML = {None: "null", True: "true", False: "false"}


def typed(key: str, value: Any) -> str:
    """Spell a setting as an override.

    Args:
        key: Its dotted key.
        value: Its value; for a group, the last name of its function.

    Returns:
        key=value.

    Example:
        >>> typed("prior", "priors"), typed("projection.bias", True)
        ('prior=pretraining', 'projection.bias=true')
    """
    if isinstance(value, str) and (CONF / key).is_dir():
        return f"{key}={_option(key, value)}"
    return f"{key}={_YAML[value] if value is None or isinstance(value, bool) else value}"


@cache
def _option(group: str, function: str) -> str:
    """The one option of a group that names a function; the function if there are others."""
    names = re.compile(rf"^_target_: (\S+\.)?{re.escape(function)}$", re.MULTILINE)
    files = sorted((CONF / group).glob("*.yaml"))
    options = [file.stem for file in files if names.search(file.read_text(encoding="utf-8"))]
    return options[0] if len(options) == 1 else function
