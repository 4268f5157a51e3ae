"""What a sense is a kind of, and how far above it that is."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

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


def distances_to(
    senses: Sequence[str], others: Sequence[str], hypernyms: Hypernyms, none: int
) -> np.ndarray:
    """Count the hops of the shortest path between senses by a common hypernym.

    Args:
        senses: S ids.
        others: M ids.
        hypernyms: Those of all of them and of everything above.
        none: What stands for two that have nothing in common.

    Returns:
        (S, M) int32; 0 between two of one sense.
    """
    below: dict[str, list[tuple[int, int]]] = defaultdict(list)  # hypernym -> other, hops
    for column, other in enumerate(others):
        for node, hops in hops_above(other, hypernyms).items():
            below[node].append((column, hops))
    arrays = {node: np.array(pairs, dtype=np.int32).T for node, pairs in below.items()}
    far = np.iinfo(np.int32).max
    rows = np.full((len(senses), len(others)), far, dtype=np.int32)
    for row, sense in zip(rows, senses, strict=True):
        for node, hops in hops_above(sense, hypernyms).items():
            if node in arrays:
                columns, more = arrays[node]
                row[columns] = np.minimum(row[columns], hops + more)
    return np.where(rows == far, np.int32(none), rows)
