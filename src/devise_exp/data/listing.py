"""What a data set lists, which can be looked at before its images are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

Listed = Mapping[str, Sequence[str]]  # class name -> files that may be its images
_look: ContextVar[Callable[[Listed], None] | None] = ContextVar("look", default=None)


@contextmanager
def on_listing(look: Callable[[Listed], None]) -> Iterator[None]:
    """Look at what a data set lists before its images are read, which may take minutes.

    Args:
        look: Called with the files of each class; what it raises ends the reading.

    Yields:
        Nothing; the data set is read inside the block.
    """
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)


def look_at(images: Iterable[tuple[str, str]]) -> None:
    """Show a list of images to who asked for it.

    Args:
        images: Class name and file of each.
    """
    look = _look.get()
    if look is None:
        return
    files: dict[str, list[str]] = {}
    for class_name, path in images:
        files.setdefault(class_name, []).append(path)
    look(files)
