"""The one error that is meant for users, and the line that a user reads of any other one."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devise_exp.core.paths import CONF
from devise_exp.core.spelling import nearest_spellings
from devise_exp.core.user_frames import described, raised_by_user_code

_ALL_OPTIONS = "add --cfg job to the command to see every option"
_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOST_SUGGESTED = 3
# How numpy and torch say that the disk is full.
_CUT_SHORT = re.compile(r"requested and \d+ written|inline_container.*(unexpected pos|writing)")


class InputError(Exception):
    """Something that a user can mend: the message says what is wrong, where, and what to do."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send some time before they kill; it stops a run as Ctrl-C does."""


def user_message(error: BaseException) -> str | None:
    """Find the line that a user should read for an error.

    Args:
        error: Any exception: ours, Hydra's, the system's.

    Returns:
        One line, or None if only a traceback would help.
    """
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    mark = getattr(error, "problem_mark", None)  # set by the parser of YAML
    if mark is not None:
        return (
            f"{mark.name}, line {mark.line + 1}: this is not YAML: {getattr(error, 'problem', '')}"
        )
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return user_message(error.__cause__) or text
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _config_line(error) or text
    if isinstance(error, OSError) and error.strerror:
        return _system_line(error)
    if is_full_disk(error):
        return f"a file could not be written whole: {_remedy(errno.ENOSPC)}"
    if raised_by_user_code(error):
        return f"code of your own failed: {described(error)}: mend it there"
    return None


def is_full_disk(error: BaseException) -> bool:
    """Tell whether a file could not be written for lack of space.

    Args:
        error: The error, or one that Hydra wrapped it in.

    Returns:
        True if the disk or a quota is full.
    """
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    if isinstance(error, OSError | RuntimeError) and _CUT_SHORT.search(str(error)):
        return True
    return error.__cause__ is not None and is_full_disk(error.__cause__)  # Hydra wraps errors


def _system_line(error: OSError) -> str:
    """The line of what the system refuses; without a path, no folder is at fault."""
    if isinstance(error, ConnectionError):  # a closed pipe too
        return f"a connection: {error.strerror}: start the command again"
    if error.filename is None and error.errno not in (*_NO_SPACE, *_NOT_ALLOWED):
        return f"the system: {error.strerror}: start the command again"
    return f"{error.filename or 'files'}: {error.strerror}: {_remedy(error.errno)}"


def _config_line(error: Exception) -> str | None:
    """Say in one line what Hydra says in several lines or in its own terms."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import MissingMandatoryValue

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.removesuffix(".yaml").rpartition("/")
        files = (CONF / group).glob("*.yaml")  # Hydra gives no options for a list
        choices = ", ".join(error.options or sorted(path.stem for path in files)) or "none"
        return f"{group}={option}: no such option; choose among {choices}"
    if isinstance(error, OverrideParseException):
        shown = re.sub(r"://.*", "://...", error.override or "")  # it may hold a password
        quotes = ": put its value into quotes, '...'" if shown != (error.override or "") else ""
        return f"the argument {shown!r} is neither group=option nor key=value{quotes}"
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is needed: add {error.full_key}=... to the command"
    key = getattr(error, "full_key", None)
    if key and str(error).startswith("Missing key "):
        return f"{key} is missing: {_ALL_OPTIONS}"
    if missing := re.search(r"Missing mandatory value: ([\w.]+)", str(error)):
        return f"{missing[1]} is needed: add {missing[1]}=... to the command"
    if several := re.match(r"Ambiguous value for argument '(.*)'$", str(error), re.MULTILINE):
        key, _, values = several[1].partition("=")
        return (
            f"{several[1]}: a comma divides the values of a grid: add -m for one, or give one "
            f'(a list is written "{key}=[{values}]")'
        )
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        return _unknown_option(unknown[1], getattr(error.__cause__, "parent_node", None))
    return None


def _unknown_option(key: str, parent: Any) -> str:
    """Suggest keys near a wrong one; `parent` is the config node without it, if Hydra names it."""
    path, _, last = key.rpartition(".")
    siblings = [str(k) for k in parent or () if not str(k).startswith("_")]
    near = nearest_spellings(last, siblings)
    start = f"no option {key}"
    if near:
        return f"{start}: did you mean {' or '.join(f'{path}.{n}'.lstrip('.') for n in near)}?"
    if not path and (below := _keys_named(last, parent)):
        return f"{start}: did you mean {' or '.join(below)}?"
    if path and siblings:
        return f"{start}: {path} has {', '.join(siblings)}"
    if path and parent is not None and "_target_" not in parent:
        return f"{start}: to add an entry write ++{key}=VALUE"
    return f"{start}: {_ALL_OPTIONS}"


def _keys_named(last: str, root: Any) -> list[str]:
    """A few keys of sections that end with a name, as `optimizer.lr` for lr; no keys of Hydra's."""
    from omegaconf import DictConfig, OmegaConf

    sections: Any = OmegaConf.to_container(root) if isinstance(root, DictConfig) else {}
    named = [
        f"{section}.{last}"
        for section, content in sections.items()
        if section != "hydra" and isinstance(content, dict) and last in content
    ]
    return named[:_MOST_SUGGESTED]


def _remedy(number: int | None) -> str:
    """Say what to do about an error of the system."""
    if number in _NO_SPACE:
        return "free some space, or set DEVISE_CACHE or hydra.run.dir to another disk"
    if number in _NOT_ALLOWED:
        return "change the permissions, or choose another folder (DEVISE_CACHE, hydra.run.dir)"
    return "check the path; DEVISE_CACHE is the cache folder, hydra.run.dir the run folder"


@contextmanager
def input_errors() -> Iterator[None]:
    """Turn every error that a person can mend into an InputError, as a command's line says it.

    Yields:
        Nothing; Hydra and the parts that it builds are called inside the block.

    Raises:
        InputError: If `user_message` has a line for what was raised.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise
        raise InputError(line) from error


@contextmanager
def as_input_error(group: str) -> Iterator[None]:
    """Turn a library's error about a value into an InputError.

    Args:
        group: The config group that the value belongs to, for the message.

    Yields:
        Nothing; the library is called inside the block.

    Raises:
        InputError: If the library raises RuntimeError, TypeError, ValueError or Lightning's
            MisconfigurationException.
    """
    try:
        yield
    except Exception as error:
        # Known by its name: importing Lightning for that would take seconds and 300 MB.
        misconfigured = type(error).__name__ == "MisconfigurationException"
        if not misconfigured and not isinstance(error, RuntimeError | TypeError | ValueError):
            raise
        reason = str(error).rstrip(" .!")
        raise InputError(f"{group}: {reason}: choose another option or value") from error
