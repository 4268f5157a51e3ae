"""Where classes stand in the hierarchy of WordNet's noun hypernyms, and how far they are apart.

A class stands at the sense that a table shipped with the project gives it, or else a WordNet folder
on this machine, or else at the only label of ImageNet-21K that has its name. A class without a
sense is not placed: hierarchical precision leaves its images out, and it is never a right answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.text.name_marks import ID_IN_NAME
from devise_exp.text.names import spelling_keys, split_synonyms
from devise_exp.text.wordnet.database import WordNet
from devise_exp.text.wordnet.hypernyms import Hypernyms, distances_to, hops_above, hypernyms_of
from devise_exp.text.wordnet.imagenet21k import shipped_imagenet21k
from devise_exp.text.wordnet.nouns import shipped_nouns
from devise_exp.text.wordnet.senses import likely_sense, shipped_sense_table

VERSION = "3.0"  # of the shipped table; an id means another sense in another version
UNPLACED = -1


@dataclass(frozen=True)
class Hierarchy:
    """Where C classes stand.

    Attributes:
        nodes: C senses, such as n02084071; None for a class without one.
        hypernyms: What each of these senses, and everything above it, is a kind of.
        source: Where both are from, for tables.
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
        """(C, C) int32: hops of the shortest path between two classes by a common hypernym.

        UNPLACED if one of them has no sense. 1 between two classes of one sense, so that each is
        its only right answer at k = 1. A path by a common *hyponym* does not count: it would come
        and go with the classes and with the part of WordNet that is read.

        Raises:
            ValueError: Two classes have nothing in common.
        """
        placed = np.flatnonzero(self.placed)
        senses = [node for node in self.nodes if node is not None]
        hops = distances_to(senses, senses, self.hypernyms, UNPLACED)
        if len(apart := np.argwhere(hops == UNPLACED)):
            one, other = (senses[i] for i in apart[0])
            raise ValueError(f"{one} and {other} are kinds of nothing in common")
        hops[(hops == 0) & ~np.eye(len(senses), dtype=bool)] = 1
        distances = np.full((len(self.nodes), len(self.nodes)), UNPLACED, dtype=np.int32)
        distances[np.ix_(placed, placed)] = hops
        return distances

    def as_dict(self) -> dict[str, Any]:
        """Convert to what a JSON file can hold; hierarchy_from_dict reads it.

        Returns:
            The source, the nodes, and the hypernyms by node.
        """
        hypernyms = {node: list(above) for node, above in sorted(self.hypernyms.items())}
        return {"source": self.source, "nodes": list(self.nodes), "hypernyms": hypernyms}


def hierarchy_from_dict(content: Mapping[str, Any]) -> Hierarchy:
    """Read what Hierarchy.as_dict wrote.

    Args:
        content: The content of the JSON file.

    Returns:
        The hierarchy.
    """
    hypernyms = {node: tuple(above) for node, above in content["hypernyms"].items()}
    return Hierarchy(tuple(content["nodes"]), hypernyms, content["source"])


def place_classes(
    names: Sequence[str],
    words: Sequence[Sequence[str]],
    dataset: str = "",
    folder: Path | None = None,
) -> Hierarchy:
    """Give each class a sense: by its name, else by its words, in the shipped table.

    The senses of the table were chosen with the images in mind; those of the folder are the
    likeliest (likely_sense). A class that neither has stands at the id in its name, or at the label
    of ImageNet-21K with its name; a name of several labels is ambiguous, and is not placed.

    Args:
        names: C class names.
        words: C sequences of words, as `labels.resolve` gives them.
        dataset: The name of the data set: classes of two data sets may share a name and not the
            sense (mouse).
        folder: A WordNet folder (find_wordnet) for classes that the table lacks; it is only used
            if it has VERSION.

    Returns:
        The hierarchy of these classes.

    Raises:
        InputError: The folder is no WordNet folder, or is damaged.
    """
    table = shipped_sense_table()
    phrases = [(name, " ".join(parts)) for name, parts in zip(names, words, strict=True)]
    nodes: list[str | None] = [
        next((s for phrase in pair if (s := table.sense(phrase, dataset)) is not None), None)
        for pair in phrases
    ]
    hypernyms, source = dict(table.hypernyms), f"WordNet {VERSION} (shipped)"
    if folder and None in nodes:
        source += _place_by_folder(nodes, hypernyms, phrases, WordNet(folder))
    if None in nodes:
        source += _place_by_label(nodes, hypernyms, phrases)
    above = {node for id in nodes if id for node in hops_above(id, hypernyms)}
    return Hierarchy(
        tuple(node or None for node in nodes), {n: hypernyms[n] for n in sorted(above)}, source
    )


def _place_by_label(
    nodes: list[str | None],
    hypernyms: dict[str, tuple[str, ...]],
    phrases: Sequence[tuple[str, str]],
) -> str:
    """Fill in the senses that are None by ids in names, or by a name that only one label has."""
    tree = shipped_imagenet21k()
    labels = set(tree.labels)
    n_by_name = 0
    for i, (node, pair) in enumerate(zip(nodes, phrases, strict=True)):
        if node is not None:
            continue
        nodes[i] = next((id for id in ID_IN_NAME.findall(pair[0]) if id in labels), None)
        if nodes[i] is None:
            by_name = (_only_label(phrase, labels) for phrase in pair)
            nodes[i] = next(filter(None, by_name), None)
            n_by_name += nodes[i] is not None
    hypernyms.update({n: above for n, above in tree.hypernyms.items() if n not in hypernyms})
    return f"; {n_by_name} classes as the only label of their name" if n_by_name else ""


def _only_label(name: str, labels: Collection[str]) -> str | None:
    """The label among the senses of a name, with synonyms split at commas; None of several."""
    keys = spelling_keys(split_synonyms(name))
    ids = {id for key in keys for id in shipped_nouns().ids.get(key, ()) if id in labels}
    return ids.pop() if len(ids) == 1 else None


def _place_by_folder(
    nodes: list[str | None],
    hypernyms: dict[str, tuple[str, ...]],
    phrases: Sequence[tuple[str, str]],
    wordnet: WordNet,
) -> str:
    """Fill in the senses that are None, and their hypernyms; say for tables what was done."""
    if wordnet.version != VERSION:
        return f"; the WordNet at hand has version {wordnet.version or 'unknown'}, not used"
    n_placed = 0
    for i, node in enumerate(nodes):
        if node is None:
            senses = (likely_sense(wordnet, phrase) for phrase in phrases[i])
            if synset := next(filter(None, senses), None):
                nodes[i] = synset.id
                hypernyms.update(hypernyms_of([synset.id], wordnet))
                n_placed += 1
    return f"; {n_placed} classes by the WordNet at hand" if n_placed else ""
