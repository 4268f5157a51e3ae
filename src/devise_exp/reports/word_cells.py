"""The cells of tables that tell whether the words of a class are the right ones."""

from __future__ import annotations

from devise_exp.text.word_checks import WordCheck

SENSE_HEADING = "in WordNet"
CHECK_HEADINGS = ("nearest words", "rank", "distance", "suspect")


def check_cells(check: WordCheck | None) -> tuple[str, str, str, str]:
    """Write what the words of a class were checked for.

    Args:
        check: The check, None for a class without words or of an older run.

    Returns:
        The nearest words; the frequency rank of the rarest word; the distance to the mean of the
        other classes; and why the words may be wrong.
    """
    if check is None:
        return "", "", "", ""
    rank = "" if check.rank is None else f"{check.rank + 1:,}"
    distance = "" if check.distance is None else f"{check.distance:.2f}"
    return ", ".join(check.nearest), rank, distance, check.suspect
