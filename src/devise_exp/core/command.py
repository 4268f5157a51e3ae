"""How a command ends: one line and an exit code for wrong input, Ctrl-C and SIGTERM."""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec

from devise_exp.core.console import print_error, print_line
from devise_exp.core.errors import Terminated, user_message
from devise_exp.core.machine import wait_briefly
from devise_exp.core.overrides import is_plain, quoted_arguments, quoted_value
from devise_exp.core.stops import raise_on_stops
from devise_exp.core.streams import all_printed, lasting_streams

Arguments = ParamSpec("Arguments")
NOT_PRINTED, WRONG_INPUT = 1, 2
INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM


def command(main: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """Make a function a command: an error that a user can mend is one line and exit code 2.

    Args:
        main: The function, for example one that Hydra decorates.

    Returns:
        A function that runs `main` and exits with a code if it fails or is stopped.
    """

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        # Hydra then raises its errors instead of printing them, so they end like ours do.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        wait_briefly()
        sys.argv = [*sys.argv[:1], *quoted_arguments(sys.argv[1:])]
        with lasting_streams(), _exit_codes(), raise_on_stops():
            main(*args, **kwargs)

    return run


def prints_result(main: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """Let a command whose result is what it prints fail if that is lost, as on a full disk.

    Args:
        main: The function of the command.

    Returns:
        A function that runs `main` and exits with 1 if stdout did not take all; a reader that
        closes the pipe wants no more, which is no failure.
    """

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        main(*args, **kwargs)
        if not all_printed():
            sys.exit(NOT_PRINTED)

    return run


def leave(frames: int = 1) -> None:
    """End a script that has done its work, without taking all its objects apart, which takes long.

    Threads and exit handlers end as they always do. A script that runs within another program, as
    by runpy, is not the end of that program: nothing happens. If something printed is lost, this
    returns, and Python tells of it as it ends; a reader that has closed the pipe wants no more.

    Args:
        frames: 1 if the script itself calls this, 2 if a function does that the script calls.
    """
    if sys._getframe(frames).f_back is not None:
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it was closed before
            with suppress(BrokenPipeError):
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(0)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """End the process as `command` says if the block raises."""
    try:
        yield
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


def underlying_stop(error: BaseException | None) -> KeyboardInterrupt | None:
    """Find the Ctrl-C or SIGTERM that came before an error: clearing up after it may have failed.

    Args:
        error: The last error.

    Returns:
        The first stop among its causes, or None.
    """
    stop = None
    passed: set[int] = set()
    while error is not None and id(error) not in passed:  # a chain may lead back to itself
        passed.add(id(error))
        if isinstance(error, KeyboardInterrupt):
            stop = error
        error = error.__cause__ or error.__context__
    return stop


def _stop(error: KeyboardInterrupt) -> None:
    """Exit as stopped, with the error's advice on how to go on."""
    if isinstance(underlying_stop(error), Terminated):
        word, code = "terminated", TERMINATED
    else:
        word, code = "interrupted", INTERRUPTED
    print_line(f"{word}{f': {error}' if str(error) else ''}")
    # Workers of a DataLoader that got the signal too would be mourned with a traceback.
    sys.unraisablehook = lambda _: None
    sys.exit(code)


def spelled(name: str, **options: object) -> str:
    """Spell a command as whoever started this program can give it.

    Args:
        name: train or evaluate.
        **options: Values of Hydra's options, quoted for the shell and for Hydra.

    Returns:
        `python train.py ...` for a program that was started as train.py or evaluate.py, else
        `devise-exp train ...`: a wheel has no train.py.

    Example:
        >>> spelled("train", resume="a run")
        "devise-exp train 'resume=a run'"
    """
    script = Path(sys.argv[0])
    is_script = script.name in ("train.py", "evaluate.py")
    words = ["python", str(script.with_name(f"{name}.py"))] if is_script else ["devise-exp", name]
    for key, value in options.items():
        text = str(value)
        words.append(f"{key}={text if is_plain(text) else quoted_value(text)}")
    return shlex.join(words)
