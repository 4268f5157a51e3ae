"""What commands share that write files where --out says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from devise_exp.core.errors import InputError


@contextmanager
def writing(out: Path, option: str = "--out") -> Iterator[None]:
    """Say of a file that cannot be written that --out names another.

    Args:
        out: What --out names.
        option: The name of the option.

    Yields:
        Nothing; the files are written inside the block.

    Raises:
        InputError: If the system refuses one.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}: choose another {option}") from error


def check_out(out: Path | None, option: str = "--out") -> None:
    """Check that a folder can be written, before anything is looked for.

    Args:
        out: The folder that --out names, which may not exist; None: none is named.
        option: The name of the option.

    Raises:
        InputError: If it cannot.
    """
    if out is None:
        return
    with writing(out, option):
        out.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=out):
            pass
