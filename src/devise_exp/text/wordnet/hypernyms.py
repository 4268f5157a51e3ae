"""What a sense is a kind of, and how far above it that is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from devise_exp.text.wordnet.database import WordNet

Hypernyms = Mapping[str, tuple[str, ...]]  # the ids that each sense is a kind or an instance of


def hypernyms_of(ids: Iterable[str], wordnet: WordNet) -> dict[str, tuple[str, ...]]:
    """Collect the hypernyms of senses and of everything above them.

    Args:
        ids: Senses.
        wordnet: Where they are from.

    Returns:
        Sense -> its hypernyms.
    """
    hypernyms: dict[str, tuple[str, ...]] = {}
    waiting = list(ids)
    while waiting:
        if (id := waiting.pop()) not in hypernyms:
            hypernyms[id] = wordnet.synset(id).hypernyms
            waiting += hypernyms[id]
    return hypernyms


def hops_above(id: str, hypernyms: Hypernyms) -> dict[str, int]:
    """Count the fewest hops from a sense up to everything that it is a kind of.

    Args:
        id: A sense.
        hypernyms: Those of the sense and of everything above it.

    Returns:
        Sense -> hops; the sense itself with 0.
    """
    hops = {id: 0}
    waiting = deque([id])
    while waiting:
        below = waiting.popleft()
        for above in hypernyms[below]:
            if above not in hops:
                hops[above] = hops[below] + 1
                waiting.append(above)
    return hops
