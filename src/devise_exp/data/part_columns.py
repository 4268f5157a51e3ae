"""Values that say which part of a published split a row is in: of a column, or names of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.part_names import Part, parts_among

_ORDER = ("train", "val", "test")


def check_parts_option(parts: PartOption) -> None:
    """Check the option data.parts.

    Args:
        parts: Its value.

    Raises:
        InputError: If it is none of keep, join and None.
    """
    if parts not in (None, "keep", "join"):
        raise InputError(f"data.parts={parts}: choose keep, join or null")


class PartValues:
    """Texts, some of which say train, val or test in any usual spelling.

    Args:
        values: A text for each row; "" says nothing.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self.counts = Counter(values)
        self.parts = parts_among(value for value in self.counts if value)

    def part(self, value: str) -> Part | None:
        """Tell the part of a row.

        Args:
            value: Its text.

        Returns:
            The part; None if the text says none.
        """
        return self.parts.get(value)

    def check(self, name: str, option: str | None) -> None:
        """Refuse a column that was given but says nothing of parts.

        Args:
            name: The name of the dataset.
            option: data.split as it was given.

        Raises:
            InputError: If no value of it is a part.
        """
        if option is not None and not self.parts:
            values = listed((value or "(empty)" for value in self.counts), 5)
            raise InputError(
                f"{name}: data.split={option}: no value of this column says train, val or test "
                f"({values}): write these words, or give data.split=null"
            )

    def remarks(self, name: str, parts: PartOption) -> tuple[list[str], list[str]]:
        """Say what becomes of the parts.

        Args:
            name: The name of the dataset.
            parts: What was asked for.

        Returns:
            What a person should know; and what was understood.
        """
        if not self.parts:
            return [], []
        counts: Counter[str] = Counter()
        for value, part in self.parts.items():
            counts[part] += self.counts[value]
        shown = ", ".join(f"{part} {counts[part]:,}" for part in _ORDER if counts[part])
        remarks = []
        if parts != "keep":
            remarks.append(
                f"{name}: the parts ({shown}) are joined and split anew, so near-copies of "
                "training images may be among test images: split=official takes them as they are"
            )
        others = [value or "(empty)" for value in self.counts if value not in self.parts]
        if others and parts == "keep":
            n = sum(self.counts.values()) - sum(counts.values())
            remarks.append(
                f"{name}: {n:,} rows of no part ({listed(others, 3)}) are unseen rows at most"
            )
        return remarks, [f"{name}: parts {shown}"]
