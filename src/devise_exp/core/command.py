"""How a command ends: one line and an exit code for wrong input, Ctrl-C and SIGTERM."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

from devise_exp.core.console import print_error
from devise_exp.core.errors import Terminated, user_message

Arguments = ParamSpec("Arguments")
WRONG_INPUT = 2
INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM


def command(main: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """Run `main` as a command: an error to act on is one line on stderr and exit code 2."""

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        # Hydra then raises its errors instead of printing them, so they end like ours do.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        sys.argv = [_quoted(argument) for argument in sys.argv]
        try:
            with raise_on_sigterm():
                main(*args, **kwargs)
        except KeyboardInterrupt as error:
            _stop(error)
        except Exception as error:
            if (stop := underlying_stop(error)) is not None:
                _stop(stop)
            line = user_message(error)
            if line is None:
                raise
            print_error(line)
            sys.exit(WRONG_INPUT)

    return run


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """SIGTERM raises Terminated where nothing else has been made of it: once, since a second one
    must not break off what the first has begun to end.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    came: list[int] = []

    def terminate(number: int, frame: Any) -> None:
        came.append(number)
        if len(came) == 1:
            raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if not came:  # else the process is about to end, and has yet to say why
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(error: KeyboardInterrupt) -> None:
    """End as stopped, with what `error` says of going on."""
    by_signal = "terminated", TERMINATED
    terminated = isinstance(underlying_stop(error), Terminated)
    how, code = by_signal if terminated else ("interrupted", INTERRUPTED)
    print(f"{how}{f': {error}' if str(error) else ''}", file=sys.stderr)
    sys.exit(code)


def underlying_stop(error: BaseException | None) -> KeyboardInterrupt | None:
    """The stop, by Ctrl-C or SIGTERM, that came before `error`: what clears up after it may fail,
    and would hide it.
    """
    found = None
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            found = error
        error = error.__cause__ or error.__context__
    return found


def _quoted(argument: str) -> str:
    """key=value with the quotes that Hydra asks for around a value that holds a =, as the run
    folders seed=0 and seed=1 do; anything else as it is.
    """
    single = re.fullmatch(r"([\w.+@]+)=([^'\"\\,(){}\[\]]*=[^'\"\\,(){}\[\]]*)", argument)
    return f"{single[1]}='{single[2]}'" if single else argument
