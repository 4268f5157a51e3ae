"""What a class means in a sentence: the definition of the sense of its name that pictures show.

A table shipped with the project has the sense of every class of its data sets. For other names
there is a rule, as WordNet lists senses by how often texts use them: a crane is first a man, and a
lobster is flesh. It uses no picture, only the name, its alias and a sentence encoder. On the 308 of
ImageNet's class names that have several senses it finds ImageNet's for 70 %, the first sense is
that for 32 % (WordNet 3.0, all-MiniLM-L6-v2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from devise_exp.text.names import inflections, split_synonyms, split_words
from devise_exp.text.wordnet.database import Synset, WordNet
from devise_exp.text.wordnet.senses import hypernyms_of, shipped_sense_table

Senses = tuple[tuple[Synset, int], ...]  # each with how many of a name's synonyms have it
Encode = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, D) unit rows
TABLED = "3.0"  # the version of WordNet that the shipped table's ids are of
ARTICLES = ("a", "an", "the")
QUESTION = "a photo of a {}"
TIE = 0.01  # cosine: of two senses nearer than that, per place between them, the more usual one


def class_definitions(
    names: Sequence[str], aliases: Sequence[str], wordnet: WordNet, encode: Encode
) -> tuple[str, ...]:
    """What each class means, "" where WordNet knows neither its name nor its alias ("" for none).

    By the shipped table, of the data set that has most of `names` before the others. Else, of the
    senses of a name those that most of its synonyms share; of these the things; of these the
    animals, rather than their flesh or fur; of these any but persons; and of these the one whose
    definition is nearest to "a photo of a NAME", NAME being the alias where there is one. The
    definition goes without WordNet's examples. `encode`: n texts to (n, D) unit rows.
    """
    tabled = _tabled(names, wordnet)
    classes = [
        candidate_senses(name, alias, wordnet) if sense is None else sense
        for name, alias, sense in zip(names, aliases, tabled, strict=True)
    ]
    # Per class its question, then the definitions of its senses.
    texts = [
        (
            QUESTION.format(alias or readable_name(name)),
            *(strip_examples(sense) for sense, _ in senses),
        )
        for name, alias, senses in zip(names, aliases, classes, strict=True)
    ]
    doubtful = [text for each in texts if len(each) > 2 for text in each]
    vectors = dict(zip(doubtful, encode(doubtful) if doubtful else (), strict=True))
    chosen = []
    for senses, (question, *meanings) in zip(classes, texts, strict=True):
        keys = [
            (shared, *_pictured(sense, wordnet), _nearness(vectors, question, meaning) - TIE * i)
            for i, ((sense, shared), meaning) in enumerate(zip(senses, meanings, strict=True))
        ]
        chosen.append(meanings[keys.index(max(keys))] if keys else "")
    return tuple(chosen)


def _tabled(names: Sequence[str], wordnet: WordNet) -> list[Senses | None]:
    """The one sense of each class in the shipped table, () where that says that no noun of WordNet
    names it, None where the table does not know the name.
    """
    if wordnet.version != TABLED:
        return [None] * len(names)
    table = shipped_sense_table()
    dataset = max(table.senses, key=lambda each: len(table.senses[each].keys() & set(names)))
    ids = [table.sense(name, dataset) for name in names]
    return [((wordnet.synset(id), 1),) if id else (None if id is None else ()) for id in ids]


def candidate_senses(name: str, alias: str, wordnet: WordNet) -> Senses:
    """The senses of a class, each with how many of its synonyms have it, in WordNet's order.

    Those of its own name, unless all are persons and an alias says otherwise (garfield: a cat, not
    the president); else of its alias; else of the longest run of the alias's words, two at least,
    that WordNet knows (the water lily in "water lily flower"): a lone word is seldom what the whole
    means. What starts with an article is a sentence, not a name.
    """
    for phrase in (name, alias):
        shared: Counter[str] = Counter()
        senses: dict[str, Synset] = {}
        for synonym in split_synonyms(phrase):
            found = {sense.id: sense for sense in _senses(synonym, wordnet)}
            senses |= found
            shared.update(found.keys())
        otherwise = alias and phrase == name
        if otherwise and not any(_pictured(sense, wordnet)[2] for sense in senses.values()):
            continue
        if senses:
            return tuple((sense, shared[id]) for id, sense in senses.items())
    runs = sorted(_runs(split_words(alias)), key=len, reverse=True)
    known = (_senses(" ".join(run), wordnet) for run in runs)
    return tuple((sense, 1) for sense in next((found for found in known if found), ()))


def strip_examples(sense: Synset) -> str:
    """The gloss up to its examples, which are in quotation marks."""
    return sense.gloss.partition('"')[0].strip(" ;:")


def readable_name(name: str) -> str:
    """The name as a person would write it: "sea horse" of sea_horse; synonyms stay apart.

    What has spaces and no underscores already is, punctuation and all.
    """
    if " " in name.strip() and "_" not in name:
        return " ".join(name.split())
    return ", ".join(" ".join(split_words(synonym)) for synonym in split_synonyms(name)) or name


def _senses(phrase: str, wordnet: WordNet) -> tuple[Synset, ...]:
    """The senses of the first spelling of a phrase, in singular or plural, that has any."""
    words = split_words(phrase)
    if words and words[0].lower() in ARTICLES:
        return ()
    lasts = (words[-1], *inflections(words[-1])) if words else ()
    spellings = [joint.join((*words[:-1], last)) for last in lasts for joint in ("_", "", "-")]
    return next((senses for each in (phrase, *spellings) if (senses := wordnet.senses(each))), ())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(words)):
        yield from (tuple(words[start:end]) for end in range(start + 2, len(words) + 1))


def _pictured(sense: Synset, wordnet: WordNet) -> tuple[bool, bool, bool]:
    """Whether it is a thing, an animal, and no person; the more of these, the likelier a picture
    of it."""
    kinds = hypernyms_of([sense.id], wordnet)
    thing, animal, person = (
        any(root.id in kinds for root in wordnet.senses(lemma)[:1])
        for lemma in ("physical_entity", "animal", "person")
    )
    return thing, animal, not person


def _nearness(vectors: Mapping[str, np.ndarray], one: str, other: str) -> float:
    """The cosine of two texts, 0 where there was nothing to choose."""
    return float(vectors[one] @ vectors[other]) if one in vectors else 0.0
