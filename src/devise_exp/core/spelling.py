"""Near spellings of a wrong name, for hints in messages."""

from __future__ import annotations

from collections.abc import Sequence


def nearest_spellings(
    word: str, choices: Sequence[str], n: int = 3, min_similarity: float = 0.6
) -> list[str]:
    """List the choices that are spelt most like `word`, whatever their case.

    Args:
        word: The wrong spelling.
        choices: The right ones.
        n: How many choices to list at most.
        min_similarity: 1 minus the typing slips (insertion, deletion, substitution, swap of
            neighbours) per letter of the longer spelling, in [0, 1].

    Returns:
        Choices, the nearest first; in their order if equally near.

    Example:
        >>> nearest_spellings("okapy", ["emu", "okay", "Okapi"])
        ['okay', 'Okapi']
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    matches = process.extract(
        word,
        choices,
        scorer=OSA.normalized_similarity,
        processor=str.casefold,
        score_cutoff=min_similarity,
        limit=n,
    )
    return [choice for choice, _, _ in matches]
