"""Names that count how often they are compared: a search of a list compares, a set's hardly."""

from __future__ import annotations


class CountingName(str):
    """A class name; `CountingName.comparisons` counts for all of them."""

    comparisons = 0
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        CountingName.comparisons += 1
        return str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return str.__hash__(self)


def counting_names(n: int) -> list[CountingName]:
    """The names of n classes, with the count at 0."""
    names = [CountingName(f"class {i:05}") for i in range(n)]
    CountingName.comparisons = 0
    return names
