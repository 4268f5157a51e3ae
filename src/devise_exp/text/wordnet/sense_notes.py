"""Where each class stands in WordNet, in words, and whether it may be the wrong place.

A name has several senses (cricket: an insect, a game), and the table that places a class may have
been made for another data set. Such a class is doubtful, unless its sense is near that of another
class of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.text.names import spelling_keys, split_synonyms
from devise_exp.text.wordnet.hierarchy import Hierarchy
from devise_exp.text.wordnet.nouns import Nouns, shipped_nouns
from devise_exp.text.wordnet.senses import shipped_sense_table

# Of a class that the shipped tables lack, or whose name several labels have, as milk.
NOT_PLACED = "not placed: no sense, or several, in the shipped hierarchy"
PLACING = (
    "what has no sense in the shipped hierarchy, or several, is placed by the whole WordNet 3.0, "
    "if a training finds its folder (WNSEARCHDIR=FOLDER), or by an alias that has an entry"
)
NEAR = 7  # hops: dog to hamster 5, car to bus 7, cricket (the insect) to horse 14


@dataclass(frozen=True, kw_only=True)
class SenseNote:
    """Where a class stands.

    Attributes:
        id: The synset, such as n02229544.
        word: The first word of the synset.
        kind: The first word of what it is a kind of, "" for the top of the hierarchy.
        n_senses: How many noun synsets have the name of the class; 0 if its name is no noun.
        doubtful: Whether the name alone chose one of several senses, far from all other classes.
    """

    id: str
    word: str
    kind: str
    n_senses: int
    doubtful: bool

    @property
    def text(self) -> str:
        """One line for tables, such as "cricket, a kind of insect (doubtful: 1 of 2 senses)"."""
        kind = f", a kind of {self.kind}" if self.kind else ""
        doubt = f" (doubtful: 1 of {self.n_senses} senses)" if self.doubtful else ""
        return f"{self.word}{kind}{doubt}"


def sense_notes(
    names: Sequence[str], words: Sequence[str], hierarchy: Hierarchy, dataset: str = ""
) -> tuple[SenseNote | None, ...]:
    """Describe where classes stand.

    Args:
        names: C class names.
        words: The words of each, as one phrase.
        hierarchy: Of these classes.
        dataset: The name of the data set.

    Returns:
        A note for each class, None for one that has no place.
    """
    table, nouns = shipped_sense_table(), shipped_nouns()
    pairs = list(zip(names, words, strict=True))
    keys = [[spelling_keys([phrase]) for phrase in pair] for pair in pairs]
    alone = _stands_alone(hierarchy.distances)
    notes: list[SenseNote | None] = []
    for node, pair, of_pair, is_alone in zip(hierarchy.nodes, pairs, keys, alone, strict=True):
        if node is None:
            notes.append(None)
            continue
        # The senses of the name, else of its words: the place was chosen among these.
        senses = [{id for key in of_one for id in nouns.ids.get(key, ())} for of_one in of_pair]
        n_senses = next(filter(None, map(len, senses)), 0)
        stated = any(table.is_stated(phrase, dataset) for phrase in pair)
        above = hierarchy.hypernyms.get(node, ())
        note = SenseNote(
            id=node,
            word=_first_word(nouns, node),
            kind=_first_word(nouns, above[0]) if above else "",
            n_senses=n_senses,
            doubtful=n_senses > 1 and not stated and bool(is_alone),
        )
        notes.append(note)
    return tuple(notes)


def _stands_alone(distances: np.ndarray) -> np.ndarray:
    """(C,) bool: whether no other class with a place is within NEAR hops."""
    others = distances.astype(np.int64)
    np.fill_diagonal(others, -1)
    return np.asarray(~((others > 0) & (others <= NEAR)).any(axis=1))


def _first_word(nouns: Nouns, id: str) -> str:
    """The first word of a synset; of an unknown one its id."""
    return split_synonyms(nouns.words.get(id, id))[0]
