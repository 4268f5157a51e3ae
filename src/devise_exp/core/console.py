"""The one console: notes and progress on stderr, results on stdout, text that cannot steer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from devise_exp.core import streams
from devise_exp.core.errors import user_message

if TYPE_CHECKING:  # rich is imported late: most commands print little
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

Item = TypeVar("Item")
PIPE_WIDTH = 1000  # columns; a file or a pipe has no width to wrap at
_progress_hidden = False
_subject = ""  # what the notes are about


def format_error(error: BaseException) -> str:
    """Format any exception as a single printable line.

    Args:
        error: The exception.

    Returns:
        The message for users if there is one, else the exception's type and text.
    """
    return printable(user_message(error) or f"{type(error).__name__}: {error}")


def printable(text: object) -> str:
    r"""Escape the characters that would steer a terminal or break a line of a file.

    Args:
        text: Anything with a text form.

    Returns:
        One line: control characters, line ends and direction marks as escapes.

    Example:
        >>> printable("a\nb")
        'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def notify(line: str) -> None:
    """Print a note for a person to stderr; stdout is kept for results.

    Args:
        line: The text, without markup; what would steer a terminal is escaped.
    """
    line = printable(f"{_subject}{line}")
    _stderr().print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)


@contextmanager
def notes_about(subject: str) -> Iterator[None]:
    """Begin every note with its subject, while several processes write notes.

    Args:
        subject: What the notes inside the block are about.

    Yields:
        Nothing.
    """
    global _subject
    before, _subject = _subject, f"{subject}: "
    try:
        yield
    finally:
        _subject = before


def warn(line: str) -> None:
    """Print a warning to stderr.

    Args:
        line: What is wrong, where, and what to do.
    """
    notify(f"warning: {line}")


def print_error(line: str) -> None:
    """Print the line that a failed command ends with to stderr.

    Args:
        line: What is wrong, where, and what to do.
    """
    print_line(f"error: {line}")


def print_line(line: str) -> None:
    """Print a line to stderr, without the time that rich takes to be imported.

    Args:
        line: The text; what would steer a terminal is escaped.
    """
    stream = streams.stderr()
    stream.write(f"{printable(line)}\n")
    stream.flush()


def print_file(text: str) -> None:
    """Print the content of a file to stdout, to the byte if its encoding allows.

    Args:
        text: The content.
    """
    stream = streams.stdout()
    stream.write(text)
    stream.flush()


def print_content(*contents: Any, width: int = PIPE_WIDTH, file: TextIO | None = None) -> None:
    """Print results to stdout, or to a file.

    Args:
        *contents: Tables and other things that rich can print; a text is printed as it is.
        width: Columns if that is not a terminal.
        file: An open file; None: stdout.
    """
    from rich.console import Console

    stream = file or streams.stdout()
    # A notebook gets the text too: rich would show every line of it as a piece of HTML.
    console = Console(file=stream, force_jupyter=False)
    if not console.is_terminal:
        console = Console(file=stream, width=width, force_jupyter=False)
    for content in contents:
        if isinstance(content, str):
            console.print(content, soft_wrap=True, highlight=False, markup=False, emoji=False)
        else:
            console.print(content)


def hide_progress() -> None:
    """Show no more progress in this process, which works beside one that does."""
    global _progress_hidden
    _progress_hidden = True


def progress_is_hidden() -> bool:
    """Tell whether this process shows no progress, whatever stderr is.

    Returns:
        Whether `hide_progress` was called.
    """
    return _progress_hidden


def progress(*extra: str, columns: Sequence[str | ProgressColumn] | None = None) -> Progress:
    """Make a progress display on stderr that vanishes at its end.

    Args:
        *extra: Names of task fields to show after the columns, as in `add_task(..., pace="")`.
        columns: The columns; None takes rich's default ones.

    Returns:
        A context manager; it shows nothing if stderr is neither a terminal nor a notebook's.
    """
    from rich.progress import Progress, TextColumn

    from devise_exp.core.notebook import CellProgress, in_notebook

    fields = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in extra]
    if columns is None:  # rich's, but a name of a file in them is no markup
        style = "progress.description"
        first = TextColumn("{task.description}", style=style, markup=False)
        columns = (first, *Progress.get_default_columns()[1:])
    shown = [TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns]
    if in_notebook() and not _progress_hidden:
        return CellProgress(*shown, *fields)
    console = _stderr()
    return Progress(
        *shown, *fields, console=console, transient=True, disable=not _shows_progress(console)
    )


def track(items: Iterable[Item], description: str) -> Iterable[Item]:
    """Iterate with a progress bar on stderr.

    Args:
        items: What to iterate over, of known length.
        description: The text beside the bar.

    Returns:
        The same items.
    """
    from rich.markup import escape
    from rich.progress import track as rich_track

    from devise_exp.core.notebook import in_notebook, track_in_cell

    if in_notebook() and not _progress_hidden:
        return track_in_cell(items, printable(description))
    console = _stderr()
    return rich_track(
        items,
        escape(printable(description)),
        transient=True,
        console=console,
        disable=not _shows_progress(console),
    )


def spinner(description: str) -> AbstractContextManager[Any]:
    """Show on stderr that something is at work whose end is not known.

    Args:
        description: The text beside the spinner.

    Returns:
        A context manager; it shows nothing if stderr is neither a terminal nor a notebook's.
    """
    from rich.text import Text

    from devise_exp.core.notebook import in_notebook, note_in_cell

    if _progress_hidden:
        return nullcontext()
    if in_notebook():
        return note_in_cell(printable(description))
    return _stderr().status(Text(printable(description)))


def _shows_progress(console: Console) -> bool:
    return console.is_terminal and not _progress_hidden


def _stderr() -> Console:
    """Make a console on the present sys.stderr."""
    from rich.console import Console

    return Console(file=streams.stderr(), force_jupyter=False)
