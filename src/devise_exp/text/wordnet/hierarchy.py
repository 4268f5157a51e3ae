"""Hierarchical precision: how near, in WordNet, are the wrong answers to the right one?

Classes stand in the hierarchy of WordNet's noun hypernyms, at the sense that a table shipped with
the project gives them, or else a WordNet folder on this machine. A class without a sense has no
place: its images are left out of the figure, and it is never a right answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.text.wordnet.database import WordNet
from devise_exp.text.wordnet.senses import (
    Hypernyms,
    hops_above,
    hypernyms_of,
    likely_sense,
    shipped_sense_table,
)

VERSION = "3.0"  # of the shipped table; an id means another sense in another version
UNPLACED = -1


@dataclass(frozen=True)
class Hierarchy:
    """Where the C classes stand.

    nodes: each class's sense, such as n02084071, None where it has none; hypernyms: what each of
    them, and everything above it, is a kind of; source: where both are from, for tables.
    """

    nodes: tuple[str | None, ...]
    hypernyms: Hypernyms
    source: str

    @property
    def placed(self) -> np.ndarray:
        """(C,) bool: whether a class has a sense."""
        return np.array([node is not None for node in self.nodes], dtype=bool)

    @cached_property
    def distances(self) -> np.ndarray:
        """(C, C) int32: hops of the shortest path between two classes through something that both
        are a kind of. UNPLACED where one has no sense; 1 between two classes of one sense, so that
        each is its only right answer at k = 1.

        In a tree this is the shortest path of all. WordNet is none, and a path through a common
        *hyponym* would come and go with the classes and with the part of WordNet at hand.
        ValueError for classes with nothing in common.
        """
        above = [hops_above(node, self.hypernyms) if node else {} for node in self.nodes]
        column = {node: i for i, node in enumerate(dict.fromkeys(n for up in above for n in up))}
        far = 1 + 2 * len(column)
        up = np.full((len(above), len(column)), far, dtype=np.int32)  # (C, A) hops to all above
        for row, hops in enumerate(above):
            up[row, [column[node] for node in hops]] = list(hops.values())
        distances = np.full((len(above), len(above)), UNPLACED, dtype=np.int32)
        placed = np.flatnonzero(self.placed)
        for i in placed:
            own = np.flatnonzero(up[i] < far)
            distances[i, placed] = (up[np.ix_(placed, own)] + up[i, own]).min(axis=1)
            if distances[i].max() >= far:
                other = self.nodes[int(distances[i].argmax())]
                raise ValueError(f"{self.nodes[i]} and {other} are kinds of nothing in common")
        same = (distances == 0) & ~np.eye(len(above), dtype=bool)
        return np.where(same, np.int32(1), distances)

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file in the run folder; from_dict reads it."""
        hypernyms = {node: list(above) for node, above in sorted(self.hypernyms.items())}
        return {"source": self.source, "nodes": list(self.nodes), "hypernyms": hypernyms}


def hierarchy_from_dict(content: Mapping[str, Any]) -> Hierarchy:
    """The hierarchy that as_dict wrote."""
    hypernyms = {node: tuple(above) for node, above in content["hypernyms"].items()}
    return Hierarchy(tuple(content["nodes"]), hypernyms, content["source"])


def place_classes(
    names: Sequence[str],
    words: Sequence[Sequence[str]],
    dataset: str = "",
    folder: Path | None = None,
) -> Hierarchy:
    """Give each class a place: by its name, else by its words, in the shipped table, else in the
    WordNet `folder` (wordnet.find_wordnet), where there is one of version 3.0.

    words: of each class, as labels.resolve found them; dataset: the name of the data set, as
    classes of two data sets may share a name and not the sense (mouse). The table's senses were
    chosen with the pictures in mind; the folder's are the likeliest (likely_sense).
    """
    table = shipped_sense_table()
    phrases = [(name, " ".join(own)) for name, own in zip(names, words, strict=True)]
    nodes: list[str | None] = [
        next((s for phrase in own if (s := table.sense(phrase, dataset)) is not None), None)
        for own in phrases
    ]
    hypernyms, source = dict(table.hypernyms), f"WordNet {VERSION} (shipped)"
    missing = [i for i, node in enumerate(nodes) if node is None]
    if missing and folder:
        wordnet = WordNet(folder)
        if wordnet.version == VERSION:
            for i in missing:
                senses = (likely_sense(wordnet, phrase) for phrase in phrases[i])
                if synset := next(filter(None, senses), None):
                    nodes[i] = synset.id
                    hypernyms |= hypernyms_of([synset.id], wordnet)
            found = sum(nodes[i] is not None for i in missing)
            source += f"; {found} classes by the WordNet at hand" if found else ""
        else:
            source += f"; the WordNet at hand has version {wordnet.version or 'unknown'}, not used"
    above = {node for id in nodes if id for node in hops_above(id, hypernyms)}
    return Hierarchy(
        tuple(node or None for node in nodes), {n: hypernyms[n] for n in sorted(above)}, source
    )
