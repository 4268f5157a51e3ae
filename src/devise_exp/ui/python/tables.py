"""A table as a notebook, a terminal and pandas show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from devise_exp.core.errors import InputError
from devise_exp.reports.table_views import to_html, to_rich
from devise_exp.reports.tables import Heading, Table, to_csv, to_latex, to_markdown

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS, MAX_ROWS_HTML = 60, 200  # a notebook keeps what it shows
WIDTH = 140  # columns of a text


@dataclass(frozen=True)
class ShownTable:
    """A table that shows itself.

    Attributes:
        shown: What a person reads, with rounded numbers.
        data: What a program reads: numbers to the last digit.
    """

    shown: Table
    data: Table

    def to_pandas(self) -> pd.DataFrame:
        """Make a pandas table of the numbers to the last digit.

        Returns:
            A column for each heading.

        Raises:
            InputError: If pandas is not installed.
        """
        return data_frame(self.data.headings, self.data.full_rows)

    def to_csv(self) -> str:
        """Write the numbers as CSV, to the last digit.

        Returns:
            The text of a file.
        """
        return to_csv(self.data)

    def to_markdown(self) -> str:
        """Write the table as GitHub Markdown.

        Returns:
            Lines, the last with its line feed.
        """
        return to_markdown(self.shown)

    def to_latex(self) -> str:
        """Write the table as a LaTeX tabular.

        Returns:
            Lines, the last with its line feed.
        """
        return to_latex(self.shown)

    def __str__(self) -> str:
        return text_of(self.shown)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_of(self.shown)


def data_frame(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Make a pandas table.

    Args:
        headings: Names of the columns.
        rows: A cell for each column; "" and None are missing values in columns of numbers.

    Returns:
        The table.

    Raises:
        InputError: If pandas is not installed.
    """
    try:
        import pandas as pd  # late: an extra
    except ImportError as error:
        raise InputError("to_pandas needs pandas: pip install 'devise-exp[tables]'") from error
    columns = {name: [_value(row[i]) for row in rows] for i, name in enumerate(headings)}
    return pd.DataFrame({name: _typed(values) for name, values in columns.items()})


def text_of(table: Table) -> str:
    """Write a table for a terminal, a long one cut.

    Args:
        table: The table.

    Returns:
        Lines of text, the last without its line feed.
    """
    from rich.console import Console

    stream = StringIO()
    shown, rest = _cut(table, MAX_ROWS)
    console = Console(file=stream, width=WIDTH, force_jupyter=False, force_terminal=False)
    console.print(to_rich(shown, ruled=True))
    lines = [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]
    return "\n".join([*lines, *([f"... and {rest:,} more rows"] if rest else [])])


def html_of(table: Table) -> str:
    """Write a table as an element of a notebook, all text escaped, a long one cut.

    Args:
        table: The table.

    Returns:
        HTML that needs no style of its page.
    """
    shown, rest = _cut(table, MAX_ROWS_HTML)
    rows = tuple(tuple(map(_html_cell, row)) for row in shown.rows)
    element = to_html(replace(shown, rows=rows, title="", note=""))
    plain = str(element).replace(' class="text"', ' style="text-align: left"')
    plain = plain.replace("<small>", " <small>")
    note = table.explained("Bold", "Italic")
    parts = [
        f"<p><b>{escape(table.title)}</b></p>" if table.title else "",
        f'<div style="overflow-x: auto; max-height: 40em">{plain}</div>',
        f"<p>... and {rest:,} more rows</p>" if rest else "",
        f'<p style="font-size: smaller">{escape(note)}</p>' if note else "",
    ]
    return "".join(parts)


def _cut(table: Table, n: int) -> tuple[Table, int]:
    """The first n rows, and how many are left out."""
    rest = len(table.rows) - n
    return (replace(table, rows=table.rows[:n]), rest) if rest > 0 else (table, 0)


def _html_cell(value: Any) -> Any:
    """A cell, the name of a section in bold."""
    return Markup("<b>{}</b>").format(value) if isinstance(value, Heading) else value


def _value(value: Any) -> Any:
    """A cell as a value."""
    return None if value == "" else getattr(value, "text", value)


def _typed(values: list[Any]) -> list[Any]:
    """Values of a column; among texts a missing one is an empty text."""
    is_text = any(isinstance(value, str) for value in values)
    return ["" if value is None else value for value in values] if is_text else values
