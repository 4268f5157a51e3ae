"""What commands share that write files where --out says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devise_exp.core.errors import InputError


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say of a file that cannot be written that --out names another.

    Args:
        out: What --out names.

    Yields:
        Nothing; the files are written inside the block.

    Raises:
        InputError: If the system refuses one.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}: choose another --out") from error
