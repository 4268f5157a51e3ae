"""What is printed for a person: notes, tables, and text that cannot steer a terminal."""

from __future__ import annotations

from typing import Any

from devise_exp.core.errors import user_message


def format_error(error: BaseException) -> str:
    """Any error in one line, in a table or a log."""
    return printable(user_message(error) or f"{type(error).__name__}: {error}")


def notify(line: str) -> None:
    """Tell a person, beside what the command prints as its result."""
    from rich.console import Console

    Console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False)


def printable(text: object) -> str:
    """One line of text with what would steer a terminal or break a file (escapes, line ends,
    turned letters) spelt.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_content(*contents: Any, width: int = 1000) -> None:
    """Print rich tables or texts to stdout.

    Args:
        *contents: What rich can print.
        width: Columns if stdout is no terminal; a file or a pipe has no width to wrap at.
    """
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=width)
    for content in contents:
        console.print(content)
