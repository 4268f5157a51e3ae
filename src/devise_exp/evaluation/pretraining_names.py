"""The names of pretraining classes, indexed once: what a word has to do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from devise_exp.evaluation.kinds import IS, IS_A_KIND_OF, RELATIONS, KindTable, Sense
from devise_exp.evaluation.verdicts import (
    IMAGES,
    KIND_OF,
    MORE_GENERAL,
    SAME_SENSE,
    SAME_WORD,
    Overlap,
)
from devise_exp.text.names import spelling_key, split_synonyms, split_words
from devise_exp.text.wordnet.domains import domain_of
from devise_exp.text.wordnet.senses import shipped_sense_table

_BASIS = dict(zip(RELATIONS, (SAME_SENSE, MORE_GENERAL, KIND_OF), strict=True))
_SHOWN = 3  # pretraining classes of one reason that names are given of
# Domains whose senses images show, by what they have in common. A sport and its gear, or an animal
# and its meat, are seen together.
_SPHERES = {
    "animal": "living", "plant": "living", "food": "living",
    "artifact": "made", "act": "made", "event": "made",
}  # fmt: skip


def sphere_of(id: str) -> str:
    """Tell what a sense has in common with others that are seen with it.

    Args:
        id: A synset.

    Returns:
        "living" for animals, plants and food, "made" for artifacts and activities, else "".
    """
    return _SPHERES.get(domain_of(id), "")


class PretrainingNames:
    """Pretraining classes by their words and, if a table describes them, by WordNet's kinds.

    Args:
        categories: Their names in order.
        table: Kinds of them, used if it describes them.
    """

    def __init__(self, categories: Sequence[str], table: KindTable | None) -> None:
        self.categories = categories
        self.kinds = table if table is not None and table.describes(categories) else None
        self._related = self.kinds.by_key if self.kinds else {}
        self._by_key: dict[str, list[int]] = {}
        for index, category in enumerate(categories):
            for key in {spelling_key(synonym) for synonym in split_synonyms(category)}:
                self._by_key.setdefault(key, []).append(index)
        self.known = self._by_key.keys() | self._related.keys()

    def senses(self, keys: Iterable[str]) -> list[Sense]:
        """List how words are related to the pretraining classes.

        Args:
            keys: Spelling keys of the words.

        Returns:
            Senses; those of the classes' names come first, without a synset.
        """
        known = [key for key in keys if key in self.known]
        named = [
            Sense((self.categories[i],), IS, (i,))
            for key in known
            for i in self._by_key.get(key, ())
        ]
        return [*named, *(sense for key in known for sense in self._related.get(key, ()))]

    def overlaps(self, name: str, senses: Iterable[Sense]) -> list[Overlap]:
        """Make one overlap per pretraining class, by the strongest relation that a sense has to it.

        Args:
            name: Name of the class.
            senses: How it is related.

        Returns:
            The overlaps, the strongest relations first.
        """
        best: dict[int, Overlap] = {}
        for sense in sorted(senses, key=lambda sense: RELATIONS.index(sense.relation)):
            by_word = sense.relation == IS and not sense.id
            basis = SAME_WORD if by_word else _BASIS[sense.relation]
            for i in sense.classes:
                words = ", ".join(sense.synonyms)
                overlap = Overlap(
                    name=name,
                    relation=sense.relation,
                    category=self.categories[i],
                    sense=words,
                    basis=basis,
                )
                best.setdefault(i, overlap)
        return list(best.values())

    def synset(self, sense: Sense) -> str:
        """Look up the synset of a sense.

        Args:
            sense: Without a synset it is that of the class that it names.

        Returns:
            The id; "" if it is unknown.
        """
        return sense.id or self._synsets.get(sense.classes[0], "")

    def placed(self, name: str, keys: Iterable[str]) -> list[Overlap]:
        """List what classes of the project's data sets show, whatever their names say.

        The shipped table has the one sense that the images of such a class show (billiards: a pool
        table), or a more general one, so nothing follows from what that one includes.

        Args:
            name: Name of the class.
            keys: Its spelling keys.

        Returns:
            The pretraining classes that it is, or is a kind of.
        """
        if self.kinds is None:
            return []
        ids = {id for key in keys for id in shipped_sense_table().ids_of_images(key)}
        senses = [sense for id in sorted(ids) for sense in self.kinds.by_id.get(id, ())]
        overlaps = self.overlaps(name, [s for s in senses if s.relation in (IS, IS_A_KIND_OF)])
        return [replace(overlap, basis=IMAGES) for overlap in overlaps]

    def named_after(self, key: str) -> str:
        """Name things of the pretraining whose names begin with a word: tennis ball, for tennis.

        Args:
            key: Spelling key of the word.

        Returns:
            Some of these classes; "" if there are none.
        """
        things = [
            i
            for i in self._compounds.get(key, ())
            if sphere_of(self._synsets.get(i, "")) == "made" or i not in self._synsets
        ]
        return self.listed(things)

    def listed(self, indices: Sequence[int]) -> str:
        """Write the first names of pretraining classes.

        Args:
            indices: Of the classes.

        Returns:
            The names, and how many more there are.
        """
        names = [split_synonyms(self.categories[i])[0] for i in indices[:_SHOWN]]
        more = len(indices) - _SHOWN
        return " or ".join(names) + (f" or {more} more" if more > 0 else "")

    @cached_property
    def _synsets(self) -> Mapping[int, str]:
        """The synset of every pretraining class that has one."""
        return {i: sense.id for i, sense in self._class_senses.items()}

    @cached_property
    def _compounds(self) -> Mapping[str, list[int]]:
        """The pretraining classes by the words that their names begin with and go on after."""
        compounds: dict[str, list[int]] = {}
        for i, category in enumerate(self.categories):
            sense = self._class_senses.get(i)
            synonyms = {*split_synonyms(category), *(sense.synonyms if sense else ())}
            words = [split_words(synonym) for synonym in sorted(synonyms)]
            for key in {"".join(w[:n]).lower() for w in words for n in range(1, len(w))}:
                compounds.setdefault(key, []).append(i)
        return compounds

    @cached_property
    def _class_senses(self) -> Mapping[int, Sense]:
        """The table's sense of every pretraining class."""
        senses = self.kinds.senses if self.kinds else ()
        return {i: sense for sense in senses if sense.relation == IS for i in sense.classes}
