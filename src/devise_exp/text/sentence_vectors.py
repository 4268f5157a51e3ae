"""Class vectors beyond single words: names in a prompt, and what WordNet says that they mean.

Any text has a vector, so a run with these vectors can be asked for by whole sentences. Prompts as
in Radford et al. 2021 (CLIP), section 3.1.4, where several are averaged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.files import checksum, fingerprint
from devise_exp.core.vectors import normalize_rows
from devise_exp.text.labels import Resolution, class_vectors, resolve
from devise_exp.text.names import split_words
from devise_exp.text.sentence_encoder import DIM, SentenceEncoder, load_minilm
from devise_exp.text.word_vectors.loading import glove_6b_50d
from devise_exp.text.word_vectors.table import empty_table
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import FILES, WordNet, find_wordnet
from devise_exp.text.wordnet.glosses import ARTICLES, class_definitions, readable_name

GLOSS = ": "  # between a name and its gloss


@dataclass(frozen=True, eq=False, repr=False)
class SentenceVectors(WordVectors):
    """Every text is in it, though its table is empty: len() is 0 and rank() None.

    A text is put into each of `templates`, and the unit vectors of those sentences are averaged.
    With `glove`, both unit vectors are joined so that the cosine of two texts is `glove_weight`
    times GloVe's and for the rest the sentences'.
    """

    encoder: SentenceEncoder
    templates: tuple[str, ...]
    wordnet: WordNet | None = None
    glove: WordVectors | None = None
    glove_weight: float = 0.0

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str)

    def vector(self, word: str) -> np.ndarray:
        """(D,) float32 unit vector of a word or any other text."""
        vector: np.ndarray = self.encode_texts([word])[0]
        return vector

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(n, D) float32 unit rows; texts that are new are encoded in one go."""
        prompts = [_prompt(template, text) for template in self.templates for text in texts]
        encoded = self.encoder(prompts).reshape(len(self.templates), len(texts), DIM)
        sentences = normalize_rows(encoded.mean(axis=0, dtype=np.float64), np.float64)  # (n, 384)
        if self.glove is None:
            return sentences.astype(np.float32)
        words = np.empty((len(texts), self.glove.dim))
        for row, text in zip(words, texts, strict=True):
            row[:] = _glove_vector(text, self.glove)
        share = self.glove_weight
        joined = np.hstack((np.sqrt(1 - share) * sentences, np.sqrt(share) * words))
        return normalize_rows(joined, np.float64).astype(np.float32)

    def class_texts(self, names: Sequence[str], aliases: Sequence[str]) -> tuple[str, ...]:
        """The text that stands for each class: its alias in words ("" for none: its name), and
        after a colon its gloss, looked up by the name, where WordNet has one.

        Their vectors are made in one go; vector() then finds them.
        """
        texts = [readable_name(alias or name) for name, alias in zip(names, aliases, strict=True)]
        if self.wordnet is not None:
            meant = class_definitions(names, aliases, self.wordnet, self.encoder)
            texts = [t + GLOSS * bool(gloss) + gloss for t, gloss in zip(texts, meant, strict=True)]
        self.encode_texts(texts)
        return tuple(texts)


def sentence_minilm(
    templates: Sequence[str] = ("a photo of a {}",),
    glosses: bool | str = "auto",
    wordnet: str | Path | None = None,
    glove_weight: float = 0.0,
) -> SentenceVectors:
    """Vectors by all-MiniLM-L6-v2; D = 384, or 434 with GloVe. Nothing is downloaded.

    `glosses`: true adds WordNet's definitions, auto does where WordNet is found, false does not.
    `wordnet`: the folder with index.noun and data.noun; null looks where it usually is.
    `glove_weight`, in [0, 1): the share of GloVe 6B (50-d) in the cosine of two texts. Raises
    InputError for what is not installed and for values that are none of these.
    """
    prompts = (templates,) if isinstance(templates, str) else tuple(templates)
    for template in prompts or ("",):
        if not isinstance(template, str) or template.count("{}") != 1:
            raise InputError(
                f"word_vectors.templates holds {template!r}: write {{}} once, where the name goes, "
                "as in ['a photo of a {}']"
            )
    number = isinstance(glove_weight, int | float) and not isinstance(glove_weight, bool)
    if not number or not 0 <= glove_weight < 1:
        raise InputError(f"word_vectors.glove_weight is {glove_weight!r}: give a share in [0, 1)")
    encoder = load_minilm()
    nouns = _wordnet(glosses, wordnet)
    glove = glove_6b_50d() if glove_weight else None
    name = "sentence_minilm"
    name += f" with glosses of WordNet {nouns.version}".rstrip() if nouns else ""
    name += f" and {glove_weight:g} {glove.name}" if glove else ""
    content = [
        encoder.fingerprint,
        prompts,
        [checksum(nouns.folder / file) for file in FILES] if nouns else [],
        [glove_weight, glove.fingerprint] if glove else [],
    ]
    return SentenceVectors(
        name,
        fingerprint(json.dumps(content)),
        empty_table(DIM + (glove.dim if glove else 0)),
        encoder,
        prompts,
        nouns,
        glove,
        float(glove_weight),
    )


def _wordnet(glosses: bool | str, folder: str | Path | None) -> WordNet | None:
    if glosses not in (True, False, "auto"):
        raise InputError(f"word_vectors.glosses is {glosses!r}: say auto, true or false")
    if glosses is False:
        return None
    found = find_wordnet() if folder is None else Path(folder).expanduser()
    if found is not None:
        return WordNet(found)
    if glosses == "auto":
        notify("no WordNet is found, so classes are described by their names alone")
        return None
    raise InputError(
        "word_vectors.glosses=true needs WordNet: install Debian's wordnet-base, or say with "
        "word_vectors.wordnet=FOLDER where index.noun and data.noun are"
    )


def _prompt(template: str, text: str) -> str:
    """The text in the template, with one article: a photo of a cat on a sofa."""
    own_article = text.partition(" ")[0].lower() in ARTICLES
    return (template.replace("a {}", "{}") if own_article else template).replace("{}", text)


def _glove_vector(text: str, glove: WordVectors) -> np.ndarray:
    """(50,) of what stands before the gloss, by the rules of `labels` or as the mean of the words
    that GloVe knows; zeros where it knows none, so that the sentence alone counts.
    """
    name = text.partition(GLOSS)[0]
    (whole,) = resolve([name], glove, on_missing="drop")
    words = whole.words or tuple(
        word
        for part in split_words(name)
        for word in resolve([part], glove, on_missing="drop")[0].words
    )
    if not words:
        return np.zeros(glove.dim, dtype=np.float32)
    vector: np.ndarray = class_vectors([Resolution(name, words, "averaged")], glove)[0]
    return vector
