"""Progress in a notebook: a line in the output of the cell, renewed in place and empty at the end.

A notebook is no terminal, so a bar of one would fill the cell with its lines; widgets need a
package that not every kernel has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TextColumn

Item = TypeVar("Item")
_SECONDS = 0.2  # between two renewals
_WIDTH = 100  # columns


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook.

    Returns:
        False for a script, and for IPython in a terminal.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class CellProgress(Progress):
    """A progress display in the output of a notebook's cell.

    Args:
        *columns: The columns of rich.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        console = Console(file=StringIO(), width=_WIDTH, force_jupyter=False, force_terminal=False)
        super().__init__(*columns, console=console, auto_refresh=False)
        self.handle: Any = None
        self.next_time = 0.0

    def start(self) -> None:
        """Begin; the first line comes with the first task."""

    def stop(self) -> None:
        """Empty the line."""
        if self.handle is not None:
            self.handle.update({"text/plain": ""}, raw=True)

    def refresh(self) -> None:
        """Renew the line, unless that has just been done."""
        if time.monotonic() < self.next_time:
            return
        self.next_time = time.monotonic() + _SECONDS
        from IPython.display import display

        with self.console.capture() as capture:
            self.console.print(self.get_renderable())
        content = {"text/plain": capture.get().rstrip()}
        if self.handle is None:
            self.handle = display(content, raw=True, display_id=True)
        else:
            self.handle.update(content, raw=True)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Note how far a task has come, and show it."""
        super().update(*args, **kwargs)
        self.refresh()

    def advance(self, *args: Any, **kwargs: Any) -> None:
        """Note that a task has gone on, and show it."""
        super().advance(*args, **kwargs)
        self.refresh()


def track_in_cell(items: Iterable[Item], description: str) -> Iterator[Item]:
    """Iterate with a line of progress.

    Args:
        items: What to iterate over, of known length.
        description: The text beside the bar, without markup.

    Yields:
        The same items.
    """
    columns = TextColumn("{task.description}", markup=False), *Progress.get_default_columns()[1:]
    with CellProgress(*columns) as bar:
        yield from bar.track(items, description=description)


@contextmanager
def note_in_cell(description: str) -> Iterator[None]:
    """Show that something is at work whose end is not known.

    Args:
        description: The text, without markup.

    Yields:
        Nothing.
    """
    with CellProgress(TextColumn("{task.description} ...", markup=False)) as bar:
        bar.add_task(description, total=None)
        yield
