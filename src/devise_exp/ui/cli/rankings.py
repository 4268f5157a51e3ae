"""Rankings as the commands print them: numbered names, and a number for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devise_exp.core.console import print_content


def print_neighbours(
    neighbours: list[tuple[str, float]], heading: str, kinds: Mapping[str, str] | None = None
) -> None:
    """Print words, or labels with their kind."""
    rows = [
        (number, name, *([kinds[name]] if kinds else []), f"{similarity:.3f}")
        for number, (name, similarity) in enumerate(neighbours, start=1)
    ]
    print_ranking([heading, *([""] if kinds else [])], rows)


def print_ranking(
    headings: list[str], rows: Sequence[tuple[Any, ...]], number: str = "similarity"
) -> None:
    """Print numbered rows that end with their similarity, or another number."""
    from devise_exp.reports.table_views import to_rich
    from devise_exp.reports.tables import Column, Table

    names = map(Column, headings)
    columns = (Column("", "right"), *names, Column(number, "right"))
    print_content(to_rich(Table(columns=columns, rows=tuple(rows))))
