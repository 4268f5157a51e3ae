"""What a class means: the definition of the sense of its name that images show.

A table shipped with the project has the sense of every class of its data sets. For other names
there is a rule, as WordNet lists senses by how often texts use them: a crane is first a man, and a
lobster is flesh. It uses no image, only the name, its alias and a sentence encoder. On the 308 of
ImageNet's class names that have several senses it finds ImageNet's for 70 %, the first sense is
that for 32 % (WordNet 3.0, all-MiniLM-L6-v2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from devise_exp.text.names import inflected, split_synonyms, split_words
from devise_exp.text.wordnet.database import Synset, WordNet
from devise_exp.text.wordnet.hypernyms import hypernyms_of
from devise_exp.text.wordnet.senses import shipped_sense_table

Senses = tuple[tuple[Synset, int], ...]  # a sense, and how many of a name's synonyms have it
Encode = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, D) unit rows
TABLED = "3.0"  # the version of WordNet that the shipped table's ids are of
ARTICLES = ("a", "an", "the")
QUESTION = "a photo of a {}"
TIE = 0.01  # cosine: what each step down in WordNet's order of frequency costs a sense


def class_definitions(
    names: Sequence[str], aliases: Sequence[str], wordnet: WordNet, encode: Encode
) -> tuple[str, ...]:
    """Find what each class means.

    The shipped table goes first, with the data set that has most of `names`. For other names: of
    the senses of a name those that most of its synonyms share; of these the things; of these the
    animals, rather than their flesh or fur; of these any but persons; and of these the one whose
    definition is nearest to "a photo of a NAME", with the alias, if there is one, as NAME.

    Args:
        names: C class names.
        aliases: C aliases, "" for a class without one.
        wordnet: The senses.
        encode: Turns n texts into (n, D) unit rows.

    Returns:
        C definitions without WordNet's examples; "" if WordNet knows neither name nor alias.
    """
    tabled = _tabled(names, wordnet)
    classes = [
        candidate_senses(name, alias, wordnet) if sense is None else sense
        for name, alias, sense in zip(names, aliases, tabled, strict=True)
    ]
    # Per class its question, then the definitions of its senses.
    texts = [
        (_question(name, alias), *(strip_examples(sense) for sense, _ in senses))
        for name, alias, senses in zip(names, aliases, classes, strict=True)
    ]
    # Only a class of several senses is in doubt.
    doubtful = [text for asked in texts if len(asked) > 2 for text in asked]
    vectors = dict(zip(doubtful, encode(doubtful) if doubtful else (), strict=True))
    chosen = []
    for senses, (question, *meanings) in zip(classes, texts, strict=True):
        keys = [
            (shared, *_pictured(sense, wordnet), _nearness(vectors, question, meaning) - TIE * i)
            for i, ((sense, shared), meaning) in enumerate(zip(senses, meanings, strict=True))
        ]
        chosen.append(meanings[keys.index(max(keys))] if keys else "")
    return tuple(chosen)


def _question(name: str, alias: str) -> str:
    """Write the sentence that definitions are compared with."""
    return QUESTION.format(alias or readable_name(name))


def _tabled(names: Sequence[str], wordnet: WordNet) -> list[Senses | None]:
    """Return the one sense of each class in the shipped table.

    () for a class that no noun of WordNet names, None for a name that the table lacks.
    """
    if wordnet.version != TABLED:
        return [None] * len(names)
    table = shipped_sense_table()
    dataset = max(table.senses, key=lambda name: len(table.senses[name].keys() & set(names)))
    ids = [table.sense(name, dataset) for name in names]
    return [((wordnet.synset(id), 1),) if id else (None if id is None else ()) for id in ids]


def candidate_senses(name: str, alias: str, wordnet: WordNet) -> Senses:
    """List the senses that a class may have.

    Those of its name, unless all are persons and an alias says otherwise (garfield: a cat, not the
    president); else of its alias; else of the longest run of the alias's words, two at least, that
    WordNet knows (the water lily in "water lily flower"): a lone word is seldom what the whole
    means. What starts with an article is a sentence, not a name.

    Args:
        name: The class name, with synonyms split at commas.
        alias: Its alias, or "".
        wordnet: The senses.

    Returns:
        Senses in WordNet's order, and how many of the synonyms have each.
    """
    for phrase in (name, alias):
        shared: Counter[str] = Counter()
        senses: dict[str, Synset] = {}
        for synonym in split_synonyms(phrase):
            by_id = {sense.id: sense for sense in _senses(synonym, wordnet)}
            senses |= by_id
            shared.update(by_id.keys())
        otherwise = alias and phrase == name
        if otherwise and not any(_pictured(sense, wordnet)[2] for sense in senses.values()):
            continue
        if senses:
            return tuple((sense, shared[id]) for id, sense in senses.items())
    runs = sorted(_runs(split_words(alias)), key=len, reverse=True)
    by_run = (_senses(" ".join(run), wordnet) for run in runs)
    return tuple((sense, 1) for sense in next(filter(None, by_run), ()))


def strip_examples(sense: Synset) -> str:
    """Cut a gloss before its examples, which are in quotation marks.

    Args:
        sense: A sense of WordNet.

    Returns:
        Its definition.
    """
    return sense.gloss.partition('"')[0].strip(" ;:")


def readable_name(name: str) -> str:
    """Write a class name as a person would: "sea horse" of sea_horse.

    Args:
        name: A class name or an alias. With spaces and without underscores, it is written already.

    Returns:
        The name in words; synonyms stay apart.
    """
    if " " in name.strip() and "_" not in name:
        return " ".join(name.split())
    return ", ".join(" ".join(split_words(synonym)) for synonym in split_synonyms(name)) or name


def _senses(phrase: str, wordnet: WordNet) -> tuple[Synset, ...]:
    """Return the senses of the first spelling of a phrase, singular or plural, that has any."""
    words = split_words(phrase)
    if words and words[0].lower() in ARTICLES:
        return ()
    spellings = [joint.join(form) for form in inflected(words) for joint in ("_", "", "-")]
    return next(filter(None, map(wordnet.senses, (phrase, *spellings))), ())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every run of two or more words."""
    for start in range(len(words)):
        yield from (tuple(words[start:end]) for end in range(start + 2, len(words) + 1))


def _pictured(sense: Synset, wordnet: WordNet) -> tuple[bool, bool, bool]:
    """Say whether a sense is a thing, an animal, and no person: then an image likely shows it."""
    kinds = hypernyms_of([sense.id], wordnet)
    thing, animal, person = (
        any(root.id in kinds for root in wordnet.senses(lemma)[:1])
        for lemma in ("physical_entity", "animal", "person")
    )
    return thing, animal, not person


def _nearness(vectors: Mapping[str, np.ndarray], one: str, other: str) -> float:
    """Return the cosine of two texts, 0 if there was nothing to choose."""
    return float(vectors[one] @ vectors[other]) if one in vectors else 0.0
