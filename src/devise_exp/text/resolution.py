"""The words that stand for a class, and the rule that chose them."""

from __future__ import annotations

from dataclasses import dataclass

RULES = ("exact", "alias", "averaged", "subword", "nearest", "missing")


@dataclass(frozen=True)
class Resolution:
    """The words that stand for a class: their mean vector is the class vector.

    Attributes:
        name: The class name.
        words: Known words; () for a missing class.
        rule: Which of RULES gave the words.
    """

    name: str
    words: tuple[str, ...]
    rule: str

    def __post_init__(self) -> None:
        if self.rule not in RULES or bool(self.words) == (self.rule == "missing"):
            raise ValueError(f"class {self.name!r}: words {self.words} cannot be {self.rule!r}")

    @property
    def display_name(self) -> str:
        """The words, without the gloss that sentence vectors add after a colon."""
        return " ".join(self.words).partition(": ")[0]
