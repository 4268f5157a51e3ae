"""Which line of a user's own code has raised an error."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_LONGEST = 300  # letters of what somebody else's code says about itself


def described(error: BaseException) -> str:
    """Say in one line what somebody else's code has raised, and where.

    Args:
        error: What it has raised.

    Returns:
        Its kind and its message, with the file and the line: the last one of a user's own code, or
        of any code.
    """
    text = " ".join(str(error).split())[:_LONGEST]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        text, where = error.msg, f" ({error.filename}, line {error.lineno})"
    elif frames := [f for f in traceback.extract_tb(error.__traceback__) if "<" not in f.filename]:
        frame = _user_frame(error) or frames[-1]
        where = f" ({frame.filename}, line {frame.lineno})"
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"


def raised_by_user_code(error: BaseException) -> bool:
    """Tell whether an error has passed through a user's own code, such as a loss or a callback.

    Args:
        error: Any exception.

    Returns:
        True if a file that is neither Python's, nor installed, nor of this package, nor the
        program itself has raised it, or has called a library that raised it. Memory that is used
        up is nobody's fault.
    """
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return False
    return _user_frame(error) is not None


def _user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The last line of a user's own code on the way to an error, if it called this package not."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).absolute()
        if _PACKAGE in path.parents:
            return None
        is_file = not frame.filename.startswith("<") and path.is_file()
        if is_file and str(path) != str(Path(program or "").absolute()) and not _is_others(path):
            return frame
    return None


def _is_others(path: Path) -> bool:
    """Tell whether a file is Python's, an installed package's, or of this package."""
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or any(folder in path.parents for folder in _folders())


@cache
def _folders() -> frozenset[Path]:
    paths = sysconfig.get_paths()
    folders = [_PACKAGE, Path(paths["stdlib"]), Path(paths["platstdlib"])]
    return frozenset(folders) | {folder.resolve() for folder in folders}
