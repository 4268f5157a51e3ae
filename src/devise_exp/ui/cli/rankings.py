"""Rankings as the commands print them: numbered names, and a number for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rich.table


def ranking(
    headings: Sequence[str], rows: Sequence[tuple[Any, ...]], number: str = "similarity"
) -> rich.table.Table:
    """Make a table of numbered rows that end with their similarity, or another number.

    Args:
        headings: The heads between the two.
        rows: Of texts and a number.
        number: The head of the number.

    Returns:
        What a console prints.
    """
    from devise_exp.reports.table_views import to_rich
    from devise_exp.reports.tables import Column, Table

    columns = (Column("", "right"), *map(Column, headings), Column(number, "right"))
    numbered = [(i, *row[:-1], f"{row[-1]:.3f}") for i, row in enumerate(rows, start=1)]
    return to_rich(Table(columns=columns, rows=tuple(numbered)))
