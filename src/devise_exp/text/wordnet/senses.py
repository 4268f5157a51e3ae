"""Which of WordNet's senses a class name has: a shipped table of data sets' classes, and a rule.

The table (experiments/hypernym_table) holds the one sense of each class that its images show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from itertools import product
from pathlib import Path

from devise_exp.core.files import gzipped_table
from devise_exp.text.name_marks import ID_IN_NAME
from devise_exp.text.names import (
    inflected,
    spelling_key,
    spelling_keys,
    split_synonyms,
    split_words,
)
from devise_exp.text.wordnet.database import Synset, WordNet
from devise_exp.text.wordnet.hypernyms import Hypernyms, hypernyms_of

_ANIMAL, _PHYSICAL = "n00015388", "n00001930"  # of WordNet 3.0: animal, physical entity
HYPERNYMS_ROW = "is a kind of"  # marks a row of the table that holds hypernyms, not senses

_Lookup = tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]]  # by name, by spelling key


@dataclass(frozen=True)
class SenseTable:
    """The senses of data sets' classes.

    Attributes:
        senses: Data set -> class name, with synonyms split at commas -> id; "" for a class that no
            noun of WordNet names.
        hypernyms: The hypernyms of these senses and of everything above them.
    """

    senses: Mapping[str, Mapping[str, str]]
    hypernyms: Hypernyms

    def sense(self, name: str, dataset: str = "") -> str | None:
        """Look a class up, first in its data set, then in the others.

        Args:
            name: The class name; an id in it is itself the sense.
            dataset: The name of the data set.

        Returns:
            The id; "" for a class without a noun, None for an unknown one.
        """
        return self._by_id(name) or self._find(name, self._first(dataset))

    def is_stated(self, name: str, dataset: str = "") -> bool:
        """Tell whether the images of a class decided its sense, not its name alone.

        Args:
            name: The class name.
            dataset: The name of the data set.

        Returns:
            True for a class of this data set, and for an id in the name.
        """
        known = [lookup for lookup in self._first(dataset)[:1] if _of(dataset) in self.senses]
        return bool(self._by_id(name)) or self._find(name, known) is not None

    def _by_id(self, name: str) -> str | None:
        """The id in a class name that is a sense; None without one."""
        return next((str(id) for id in ID_IN_NAME.findall(name) if id in self.hypernyms), None)

    def _first(self, dataset: str) -> list[_Lookup]:
        """The lookups of all data sets, that of this one first."""
        by_dataset = sorted(self._lookups.items(), key=lambda item: item[0] != _of(dataset))
        return [lookup for _, lookup in by_dataset]

    def _find(self, name: str, lookups: Iterable[_Lookup]) -> str | None:
        """Look a class up in data sets, one after the other."""
        for exact, by_key in lookups:
            if name in exact:
                return exact[name]
            votes = Counter(
                sense
                for synonym in split_synonyms(name)
                for key in spelling_keys([synonym])
                for sense in by_key.get(key, ())
            )
            if votes:
                return votes.most_common(1)[0][0]
        return None

    def ids_of_images(self, key: str) -> tuple[str, ...]:
        """Look up what the images of classes of a name show, as a person chose it.

        Args:
            key: Spelling key of the name.

        Returns:
            The senses, without those of ImageNet's classes, which are named after them.
        """
        return tuple(
            id
            for dataset, (_, by_key) in self._lookups.items()
            if dataset != "imagenet"
            for id in by_key.get(key, ())
            if id
        )

    @cached_property
    def _lookups(self) -> Mapping[str, _Lookup]:
        """Data set -> class name -> sense, and spelling key of a synonym -> senses."""
        lookups = {}
        for dataset, senses in self.senses.items():
            exact = {split_synonyms(name)[0]: sense for name, sense in senses.items()}
            by_key: dict[str, tuple[str, ...]] = {}
            for name, sense in senses.items():
                for key in {spelling_key(synonym) for synonym in split_synonyms(name)}:
                    by_key[key] = (*by_key.get(key, ()), sense)
            lookups[dataset] = (exact, by_key)
        return lookups


def _of(dataset: str) -> str:
    """The data set whose classes a data set has: Tiny ImageNet's classes are ImageNet's."""
    return "imagenet" if "imagenet" in dataset else dataset


def likely_sense(wordnet: WordNet, name: str) -> Synset | None:
    """Choose the sense that a class name most likely has.

    The one with the most of the name's synonyms among its words; of these an animal goes before
    its fur, meat and namesakes, what has a body (a physical entity) before what has none, a common
    noun before a proper name, and then the more frequent one. The rule errs if images show a rarer
    thing (drum: a fish).

    Args:
        wordnet: The senses.
        name: A class name, with synonyms split at commas.

    Returns:
        The sense, or None for an unknown name.
    """
    keys = set(spelling_keys([name]))
    senses = {
        sense.id: sense
        for synonym in split_synonyms(name)
        for lemma in _lemmas(synonym)
        for sense in wordnet.senses(lemma)
    }

    def likelihood(sense: Synset) -> tuple[int, bool, bool, bool]:
        named = [lemma for lemma in sense.lemmas if spelling_key(lemma) in keys]
        above = hypernyms_of([sense.id], wordnet)
        common = any(lemma == lemma.lower() for lemma in named)
        return len(named), _ANIMAL in above, _PHYSICAL in above, common

    return max(senses.values(), key=likelihood, default=None)  # the first of the likeliest


@cache
def shipped_sense_table() -> SenseTable:
    """Read the table of this project's data sets, from WordNet 3.0.

    Returns:
        The table; it is read once.
    """
    with as_file(files("devise_exp.text.wordnet") / "assets" / "hypernyms.tsv.gz") as path:
        return read_sense_table(path)


def read_sense_table(path: Path) -> SenseTable:
    """Read a table of senses.

    Args:
        path: Gzipped lines "data set, tab, class name, tab, id" and "is a kind of, tab, id, tab,
            ids of its hypernyms".

    Returns:
        The table.

    Raises:
        InputError: The file is damaged, or lacks the hypernyms of a sense.
    """
    senses: dict[str, dict[str, str]] = {}
    hypernyms: dict[str, tuple[str, ...]] = {}
    with gzipped_table(path, "senses", "experiments/hypernym_table/make.py") as rows:
        for kind, name, ids in rows:
            if kind == HYPERNYMS_ROW:
                hypernyms[name] = tuple(ids.split())
            else:
                senses.setdefault(kind, {})[name] = ids
        named = {id for by_name in senses.values() for id in by_name.values() if id}
        if loose := named.union(*hypernyms.values()) - hypernyms.keys():
            raise ValueError(f"nothing says what {min(loose)} is a kind of")
    return SenseTable(senses, hypernyms)


def _lemmas(synonym: str) -> Iterable[str]:
    """Yield spellings that WordNet may have for one name, first in its number.

    Such as in-line skate, sea_horse, t-shirt and lightbulb.
    """
    yield synonym
    words = [word.lower() for word in split_words(synonym)]
    for form, joint in product(inflected(words), "_-"):
        yield joint.join(form)
    yield "".join(words)
