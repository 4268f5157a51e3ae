"""One table record for all tables, and its writers as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from devise_exp.core.console import printable

BEST, TIED = "best", "tied"
_MARKDOWN = {BEST: "**{}**", TIED: "*{}*", "": "{}"}
_LATEX_MARKS = {BEST: r"\textbf{{{}}}", TIED: r"\textit{{{}}}", "": "{}"}
_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its name.
        align: "left" for names, "right" for numbers.
        wrap: Whether a narrow terminal may break its cells.
    """

    heading: str
    align: Literal["left", "right"] = "left"
    wrap: bool = True


def left(*headings: str) -> list[Column]:
    """Make columns of names.

    Args:
        headings: Their names.

    Returns:
        Left-aligned columns.
    """
    return [Column(heading) for heading in headings]


def right(*headings: str, wrap: bool = True) -> list[Column]:
    """Make columns of numbers.

    Args:
        headings: Their names.
        wrap: As of Column.

    Returns:
        Right-aligned columns.
    """
    return [Column(heading, "right", wrap) for heading in headings]


@dataclass(frozen=True)
class Marked:
    """A number that competes with the others of its column.

    Attributes:
        text: The number as shown.
        mark: BEST, TIED (not shown to differ from the best), or "".
        interval: Its interval, shown below or beside the number; "" for none.
    """

    text: str
    mark: str = ""
    interval: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.interval})" if self.interval else self.text


class Heading(str):
    """A cell in bold, such as the name of a section."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, whatever it is written as.

    Attributes:
        columns: From left to right.
        rows: Cells are Marked, Heading, plain values, or Markup for HTML; None is an empty cell,
            and a short row is filled up with empty cells.
        sections: The rows, by number, above which a section begins.
        title: Its heading, "" for none.
        note: A text below it; {best} and {tied} stand for the format's words for these marks.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    sections: frozenset[int] = frozenset()
    title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) > len(self.columns):
                raise ValueError(f"{row}: {len(row)} cells in {len(self.columns)} columns")

    @classmethod
    def of_records(cls, records: Sequence[Mapping[str, Any]]) -> Table:
        """Make a table of records with the same keys.

        Args:
            records: One for each row, at least one.

        Returns:
            A table with a column for each key.
        """
        rows = tuple(tuple(record.values()) for record in records)
        return cls(columns=tuple(map(Column, records[0])), rows=rows)

    @property
    def headings(self) -> list[str]:
        """The names of the columns."""
        return [column.heading for column in self.columns]

    @property
    def full_rows(self) -> list[list[Any]]:
        """The rows, each with a cell for every column; an empty cell is ""."""
        empty = [""] * len(self.columns)
        return [["" if c is None else c for c in (*row, *empty[len(row) :])] for row in self.rows]

    def explained(self, best: str, tied: str) -> str:
        """Write the note for a format.

        Args:
            best: How the format shows the best of a column.
            tied: How it shows what is tied with the best.

        Returns:
            The note with these words in it.
        """
        return self.note.replace("{best}", best).replace("{tied}", tied)


def escape_markdown(text: object) -> str:
    """Write a text as the cell of a Markdown table shows it.

    Args:
        text: Any value.

    Returns:
        One printable line.
    """
    return re.sub(r"([\\`*_|<\[\]])", r"\\\1", printable(text))


def _escape_latex(text: object) -> str:
    """A text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(c, c) for c in str(text))


def _spreadsheet_text(text: str) -> str:
    """A text, after an apostrophe if a spreadsheet would take it as a formula."""
    if not text.startswith(("=", "+", "-", "@")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def to_markdown(table: Table, *, level: int = 2, escape: bool = True) -> str:
    """Write a table as GitHub Markdown: the best is bold, what is tied with it italic.

    Args:
        table: What to write; intervals of marked cells are left out.
        level: Of the title as a heading.
        escape: Escape the cells; False for cells that hold Markdown, or nothing to escape.

    Returns:
        Lines, the last with its line feed.
    """

    def cell(value: Any) -> str:
        if isinstance(value, Marked):
            return _MARKDOWN[value.mark].format(value.text)
        return escape_markdown(value) if escape else str(value)

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    ruler = ["---:" if column.align == "right" else "---" for column in table.columns]
    lines = [f"{'#' * level} {table.title}", ""] if table.title else []
    lines += [line(table.headings), line(ruler)]
    lines += [line(list(map(cell, row))) for row in table.full_rows]
    if table.note:
        lines += ["", table.explained("Bold", "Italic")]
    return "\n".join([*lines, ""])


def to_csv(table: Table) -> str:
    """Write a table as CSV.

    Args:
        table: What to write: headings and cells alone, numbers to the last digit; no text can be
            taken as a formula.

    Returns:
        Lines that end as RFC 4180 says.
    """

    def cell(value: Any) -> Any:
        if isinstance(value, int | float):
            return value
        return _spreadsheet_text(value.text if isinstance(value, Marked) else str(value))

    text = StringIO(newline="")
    csv.writer(text).writerows([list(map(cell, row)) for row in (table.headings, *table.full_rows)])
    return text.getvalue()


def to_latex(table: Table) -> str:
    """Write a table as a tabular that needs no package, its note below.

    Args:
        table: What to write; the title and the intervals of marked cells are left out.

    Returns:
        Lines, the last with its line feed.
    """

    def cell(value: Any) -> str:
        if isinstance(value, Marked):
            return _LATEX_MARKS[value.mark].format(_escape_latex(value.text))
        return _escape_latex(value)

    columns = "".join(column.align[0] for column in table.columns)
    head = " & ".join(map(_escape_latex, table.headings))
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", rf"{head} \\", r"\hline"]
    lines += [rf"{' & '.join(map(cell, row))} \\" for row in table.full_rows]
    lines += [r"\hline", r"\end{tabular}"]
    if table.note:
        lines += ["", _escape_latex(table.explained("Bold", "Italic"))]
    return "\n".join([*lines, ""])
