"""The kinds of a verdict of the overlap audit; here since splits draw by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

# Worst first; only a clean class passes split.clean=require.
OVERLAPPING, POSSIBLE = "overlapping", "possibly overlapping"
NOT_IDENTIFIED, CLEAN = "not identified", "clean"
KINDS = (OVERLAPPING, POSSIBLE, NOT_IDENTIFIED, CLEAN)
CLEAN_AS_STATED, NOT_CHECKED = "clean (as stated)", "not checked"
UNDECIDED = (POSSIBLE, NOT_IDENTIFIED, NOT_CHECKED)


def kind_of(verdict: str) -> str:
    """Tell the kind of a verdict.

    Args:
        verdict: As evaluation.verdicts.AuditReport.verdicts gives it.

    Returns:
        One of KINDS, or NOT_CHECKED.

    Example:
        >>> [kind_of(text) for text in ("is a kind of hook", "clean (as stated)", "not checked")]
        ['overlapping', 'clean', 'not checked']
    """
    for kind in (CLEAN, *UNDECIDED):
        if verdict == kind or verdict.startswith((f"{kind}:", f"{kind} (")):
            return kind
    return OVERLAPPING


def count_kinds(verdicts: Mapping[str, str]) -> str:
    """Count the kinds of verdicts in words.

    Args:
        verdicts: Class -> verdict.

    Returns:
        Such as "4 clean, 2 overlapping, 1 possibly overlapping, 0 not identified".
    """
    counts = Counter(map(kind_of, verdicts.values()))
    return ", ".join(f"{counts[kind]} {kind}" for kind in (CLEAN, *KINDS[:-1]))
