"""The one error that a person, not a programmer, is meant to read, and how a command ends on it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

WRONG_INPUT = 2
INTERRUPTED = 130


class InputError(Exception):
    """Something a person can put right: the message is one line that says what, where and what to
    do.
    """


def one_line(error: BaseException) -> str | None:
    """The line a person should read for `error`, or None where only a traceback would help."""
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return one_line(error.__cause__) or " ".join(str(error).split())
    if isinstance(error, HydraException | OmegaConfBaseException):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}: free some space or mend the permissions, then start again"
    return None


def command(main: Callable[[], Any]) -> Callable[[], None]:
    """Run `main` as a command: an error to act on is one line on stderr and exit code 2."""

    @functools.wraps(main)
    def run() -> None:
        # Hydra then raises its errors instead of printing them, so they end like ours do.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        try:
            main()
        except KeyboardInterrupt as error:
            print(f"interrupted{f': {error}' if str(error) else ''}", file=sys.stderr)
            sys.exit(INTERRUPTED)
        except Exception as error:
            line = one_line(error)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            sys.exit(WRONG_INPUT)

    return run
