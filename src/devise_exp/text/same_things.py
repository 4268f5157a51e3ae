"""Unseen and seen classes that may be one thing under two names, as aubergine and eggplant.

Such an unseen class was trained on under its other name. Two classes may be one if each has, among
the senses of its words in WordNet, the most frequent sense of the other (so a cable car is no car,
though it may be called one), or if their word vectors are nearly the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.core.name_files import MAX_LISTED
from devise_exp.text.label_options import merge_override
from devise_exp.text.names import spelling_keys
from devise_exp.text.wordnet.nouns import shipped_nouns

NEAR = 0.95  # cosine
_BLOCK = 2048  # unseen classes that are compared with all seen ones at a time


def same_things(
    names: Sequence[str], words: Sequence[str], vectors: np.ndarray, seen: Sequence[bool]
) -> list[tuple[str, str]]:
    """Find unseen classes that may be a seen class under another name.

    Args:
        names: C classes.
        words: The words of each, as one phrase.
        vectors: (C, D) unit rows.
        seen: Whether each is seen.

    Returns:
        Pairs of an unseen and a seen class, in the order of the classes.
    """
    unseen_ids = [i for i, is_seen in enumerate(seen) if not is_seen]
    seen_ids = [i for i, is_seen in enumerate(seen) if is_seen]
    pairs = _of_one_sense(words, unseen_ids, seen_ids)
    for start in range(0, len(unseen_ids), _BLOCK):
        block = unseen_ids[start : start + _BLOCK]
        rows, columns = np.nonzero(vectors[block] @ vectors[seen_ids].T > NEAR)
        pairs |= {(block[i], seen_ids[j]) for i, j in zip(rows, columns, strict=True)}
    return [(names[one], names[other]) for one, other in sorted(pairs)]


def same_things_line(pairs: Sequence[tuple[str, str]]) -> str:
    """Say of such pairs what they may be, and what to do.

    Args:
        pairs: What `same_things` finds, at least one pair.

    Returns:
        One line of bounded length.
    """
    shown = "; ".join(f"{one} (unseen) and {other} (seen)" for one, other in pairs[:MAX_LISTED])
    more = len(pairs) - MAX_LISTED
    return (
        f"{shown}{f' and {more:,} more pairs' if more > 0 else ''} may be the same thing: merge "
        f"them by labels.merges ({merge_override(*pairs[0])}) if they are"
    )


def _of_one_sense(
    words: Sequence[str], unseen: Sequence[int], seen: Sequence[int]
) -> set[tuple[int, int]]:
    """The pairs of ids of which each has the most frequent sense of the other."""
    nouns = shipped_nouns()
    keys = [[key for key in spelling_keys([phrase]) if key in nouns.keys] for phrase in words]
    senses = [{id for key in of_one for id in nouns.ids[key]} for of_one in keys]
    firsts = [{nouns.first_sense(key) for key in of_one} for of_one in keys]
    by_sense: dict[str, list[int]] = {}
    for i in seen:
        for id in senses[i]:
            by_sense.setdefault(id, []).append(i)
    return {
        (i, other)
        for i in unseen
        for id in firsts[i]
        for other in by_sense.get(id, ())
        if firsts[other] & senses[i]
    }
