"""A Comparison as a terminal table, CSV, Markdown, LaTeX or HTML."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO

from rich.table import Table
from rich.text import Text

from devise_exp.core.console import printable
from devise_exp.reports.comparison import BEST, TIED, Cell, Comparison
from devise_exp.reports.numbers import to_precision

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}
_SIGNS = {BEST: "*", TIED: "~", "": " "}  # of the terminal: a pipe keeps no bold letters
_STYLES = {BEST: "bold", TIED: "italic", "": ""}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>runs compared</title><style>
body { margin: 2rem; font: 15px/1.5 system-ui, sans-serif; color-scheme: light dark; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #8885; }
.name { text-align: left; } caption { caption-side: bottom; text-align: left; padding-top: 1em; }
small { display: block; opacity: .75; }
</style></head><body>
"""


def text_of(cell: Cell | None, interval: bool = True) -> str:
    """Per cent with the decimals that its interval supports, or the standard deviation over seeds
    (±). The best of a column has its interval beside it, unless `interval` is False.
    """
    if cell is None:
        return ""
    bounds = (cell.lo, cell.hi) if cell.sd is None else (cell.value - cell.sd, cell.value + cell.sd)
    shown = to_precision(cell.value, *bounds)
    decimals = len(shown.partition(".")[2])
    if cell.sd is not None:
        shown += f" ± {100 * cell.sd:.{decimals}f}"
    if interval and cell.mark == BEST and cell.lo is not None and cell.hi is not None:
        shown += f" ({100 * cell.lo:.{decimals}f} – {100 * cell.hi:.{decimals}f})"
    return shown


def legend(table: Comparison, best: str, tied: str) -> str:
    """What a reader needs to know of the cells; `best` and `tied` say how these are marked."""
    figures = "Per cent"
    if table.n > 1:
        figures += "; mean ± standard deviation where there are several seeds"
    if any(cell and cell.mark for line in table.lines for cell in line.cells):
        over = (
            "seeds (images, of a single run or where no seed changes it)"
            if table.n > 1
            else "images"
        )
        figures += (
            f". {best}: the best of a column, with its 95 % interval over {over} where there is "
            f"one. {tied}: not shown to differ from it (paired test where seeds or images are the "
            "same, p at least 0.05, not corrected for many comparisons; else overlapping 95 % "
            "intervals)"
        )
    return f"{figures}. Split {table.fingerprint}."


def rich_table(table: Comparison) -> Table:
    """For the terminal: * is the best of a column, ~ does not differ from it."""
    found = Table(box=None, pad_edge=False, caption=legend(table, "*", "~"), caption_justify="left")
    for head in table.heads:
        found.add_column(head, overflow="fold")
    for heading in table.columns.values():
        found.add_column(heading, justify="right", min_width=5)
    for line in table.lines:
        found.add_row(*map(Text, line.names), *map(_rich_cell, line.cells))
    return found


def escaped(text: object) -> str:
    """Text as a cell of a Markdown table shows it."""
    return re.sub(r"([\\`*_|<\[\]])", r"\\\1", printable(text))


def markdown(table: Comparison, interval: bool = False) -> str:
    """GitHub Markdown: the best is bold, what does not differ from it italic."""
    marks = {BEST: "**{}**", TIED: "*{}*", "": "{}"}

    def marked(cell: Cell | None) -> str:
        return marks[cell.mark].format(text_of(cell, interval)) if cell else ""

    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    names = [[escaped(name) for name in line.names] for line in table.lines]
    lines = [
        row([*table.heads, *table.columns.values()]),
        row(["---"] * len(table.heads) + ["---:"] * len(table.columns)),
        *(
            row([*own, *map(marked, line.cells)])
            for own, line in zip(names, table.lines, strict=True)
        ),
    ]
    return "\n".join([*lines, "", legend(table, "Bold", "Italic"), ""])


def latex(table: Comparison) -> str:
    """A tabular that needs no package: the best is bold, what does not differ from it italic."""
    marks = {BEST: r"\textbf{{{}}}", TIED: r"\textit{{{}}}", "": "{}"}
    columns = "l" * len(table.heads) + "r" * len(table.columns)
    head = " & ".join(map(_escaped, [*table.heads, *table.columns.values()]))
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", rf"{head} \\", r"\hline"]
    for line in table.lines:
        cells = [
            marks[c.mark].format(_escaped(text_of(c, interval=False))) if c else ""
            for c in line.cells
        ]
        lines.append(rf"{' & '.join([*map(_escaped, line.names), *cells])} \\")
    note = _escaped(legend(table, "Bold", "Italic"))
    return "\n".join([*lines, r"\hline", r"\end{tabular}", "", note, ""])


def html(table: Comparison) -> str:
    """A page with the table alone, all text escaped."""
    heads = [f'<th scope="col" class="name">{escape(head)}</th>' for head in table.heads]
    heads += [f'<th scope="col">{escape(heading)}</th>' for heading in table.columns.values()]
    body = "\n".join(
        "<tr>"
        + "".join(f'<th scope="row" class="name">{escape(name)}</th>' for name in line.names)
        + "".join(map(_html_cell, line.cells))
        + "</tr>"
        for line in table.lines
    )
    caption = escape(legend(table, "Bold", "Italic"))
    return (
        f"{_PAGE}<table>\n<caption>{caption}</caption>\n<thead><tr>{''.join(heads)}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></body></html>\n"
    )


def csv_text(table: Comparison) -> str:
    """Shares in [0, 1] to the last digit, under the figures' names, with /sd, /lo, /hi, /mark."""
    parts = ("value", "sd", "lo", "hi", "mark")
    names = [key if part == "value" else f"{key}/{part}" for key in table.columns for part in parts]
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*table.heads, *names, "split/fingerprint"])
    for line in table.lines:
        cells = [getattr(cell, part, None) for cell in line.cells for part in parts]
        writer.writerow([*map(_no_formula, line.names), *cells, table.fingerprint])
    return text.getvalue()


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "csv": csv_text,
    "markdown": markdown,
    "latex": latex,
    "html": html,
}


def _rich_cell(cell: Cell | None) -> Text:
    """The figure with its sign, the interval in a line of its own so that columns stay narrow."""
    if cell is None:
        return Text()
    shown, bracket, interval = text_of(cell).partition(" (")
    below = f"\n{interval.rstrip(')')}  " if bracket else ""
    return Text(f"{shown} {_SIGNS[cell.mark]}{below}", _STYLES[cell.mark])


def _html_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    tags = {BEST: "<b>{}</b>", TIED: "<i>{}</i>", "": "{}"}
    shown, bracket, interval = text_of(cell).partition(" (")
    small = f"<small>({escape(interval)}</small>" if bracket else ""
    return f"<td>{tags[cell.mark].format(escape(shown))}{small}</td>"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _no_formula(name: str) -> str:
    """A name that a spreadsheet takes as text."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
