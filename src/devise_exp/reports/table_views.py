"""The table record shown: as HTML, and in the terminal."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from devise_exp.core.console import printable
from devise_exp.reports.tables import BEST, TIED, Heading, Marked, Table

if TYPE_CHECKING:
    import jinja2
    import rich.table
    from rich.text import Text

_SIGNS = {BEST: "*", TIED: "~", "": " "}  # a pipe keeps no bold letters
_STYLES = {BEST: "bold", TIED: "italic", "": ""}


def to_html(table: Table, *, highlighted: str | None = None, titled: bool = True) -> Markup:
    """Write a table as an element of an HTML page, all text escaped.

    Args:
        table: What to write; the first column names the rows, and a cell may be Markup.
        highlighted: A row with this cell gets the class "model".
        titled: Write the title too.

    Returns:
        A <table> element; its texts are cells of the class "text".
    """
    template = _templates().get_template("table.html.jinja")
    content = template.render(
        title=table.title if titled else "",
        note=table.explained("Bold", "Italic"),
        columns=table.columns,
        rows=table.full_rows,
        highlighted=highlighted,
    )
    return Markup(content)


def to_html_page(table: Table, title: str) -> str:
    """Write an HTML page that holds one table.

    Args:
        table: What to write.
        title: Of the page.

    Returns:
        The page: no script, no request, all text escaped.
    """
    template = _templates().get_template("table_page.html.jinja")
    return template.render(title=title, table=to_html(table))


def to_rich(table: Table, *, ruled: bool = False) -> rich.table.Table:
    """Make a table for the terminal: * marks the best, ~ what is tied with it.

    Args:
        table: What to show; intervals stand in a line of their own, so that columns stay narrow.
        ruled: Draw a line below the head and above each section.

    Returns:
        What a rich console prints.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    note = table.explained("*", "~")
    shown = RichTable(
        title=Text(printable(table.title), "table.title") if table.title else None,
        caption=Text(printable(note), "table.caption") if note else None,
        caption_justify="left",
        box=SIMPLE_HEAD if ruled else None,
        pad_edge=ruled,
    )
    for i, column in enumerate(table.columns):
        marked = any(isinstance(row[i], Marked) for row in table.rows if i < len(row))
        shown.add_column(
            Text(printable(column.heading)),
            justify=column.align,
            no_wrap=not column.wrap,
            overflow="fold" if column.wrap and column.align == "left" else "ellipsis",
            min_width=5 if marked else None,  # no number breaks
        )
    for i, row in enumerate(table.rows):
        if i in table.sections:
            shown.add_section()
        shown.add_row(*map(_rich_cell, row))
    return shown


def _rich_cell(value: Any) -> Text:
    """Write a cell for the terminal, which nothing in it can steer."""
    from rich.text import Text

    if isinstance(value, Marked):
        below = f"\n{value.interval}  " if value.interval else ""
        return Text(f"{printable(value.text)} {_SIGNS[value.mark]}{below}", _STYLES[value.mark])
    text = "" if value is None else printable(value)
    return Text(text, "bold" if isinstance(value, Heading) else "")


@cache
def _templates() -> jinja2.Environment:
    """Load the templates of tables."""
    from jinja2 import DictLoader, Environment

    folder = files("devise_exp.reports").joinpath("assets")
    names = ("table.html.jinja", "table_page.html.jinja")
    sources = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in names}
    return Environment(
        loader=DictLoader(sources), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
