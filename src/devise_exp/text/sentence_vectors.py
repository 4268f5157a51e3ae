"""Class vectors of sentences: names in a prompt, with WordNet's definition of what they mean.

Any text has a vector, so a run with these vectors can be searched by whole sentences. Prompts as
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
from devise_exp.text.sentence_encoder import DIM, load_minilm
from devise_exp.text.templates import Templates, fill, read_templates
from devise_exp.text.text_encoder import TextEncoder
from devise_exp.text.word_vectors.loading import glove_6b_50d
from devise_exp.text.word_vectors.table import empty_table
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import FILES, WordNet, find_wordnet
from devise_exp.text.wordnet.glosses import class_definitions, readable_name

GLOSS = ": "  # between a name and its gloss


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SentenceVectors(WordVectors):
    """Vectors of any text; the table is empty, so `len()` is 0 and no word has a rank.

    A text is put into each template, and the unit vectors of those sentences are averaged. With
    GloVe, both unit vectors are joined so that the cosine of two texts is `glove_weight` times
    GloVe's and for the rest the sentences'.

    Attributes:
        encoder: Turns sentences into vectors.
        templates: Sentences with {} where the text goes.
        wordnet: Adds definitions to class names, if it is there.
        glove: Word vectors that are joined, if any.
        glove_weight: The share of GloVe in the cosine, in [0, 1).
    """

    encoder: TextEncoder
    templates: tuple[str, ...]
    wordnet: WordNet | None = None
    glove: WordVectors | None = None
    glove_weight: float = 0.0

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str)

    def vector(self, word: str) -> np.ndarray:
        """Return the vector of a word or any other text.

        Args:
            word: The text.

        Returns:
            (D,) float32 unit vector.
        """
        vector: np.ndarray = self.encode_texts([word])[0]
        return vector

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts; new ones are encoded in one go.

        Args:
            texts: n texts.

        Returns:
            (n, D) float32 unit rows.
        """
        prompts = [[fill(template, text) for template in self.templates] for text in texts]
        sentences = normalize_rows(self.encoder.average(prompts), np.float64)  # (n, D)
        if self.glove is None:
            return sentences.astype(np.float32)
        words = np.empty((len(texts), self.glove.dim))
        for row, text in zip(words, texts, strict=True):
            row[:] = _glove_vector(text, self.glove)
        share = self.glove_weight
        joined = np.hstack((np.sqrt(1 - share) * sentences, np.sqrt(share) * words))
        return normalize_rows(joined, np.float64).astype(np.float32)

    def class_texts(self, names: Sequence[str], aliases: Sequence[str]) -> tuple[str, ...]:
        """Choose the text of each class: its alias or name, and after a colon its definition.

        All texts are encoded in one go, so that `vector` finds them.

        Args:
            names: C class names, by which WordNet's definitions are looked up.
            aliases: C aliases, "" for a class without one.

        Returns:
            C texts.
        """
        texts = [readable_name(alias or name) for name, alias in zip(names, aliases, strict=True)]
        if self.wordnet is not None:
            meant = class_definitions(names, aliases, self.wordnet, self.encoder)
            texts = [t + GLOSS * bool(gloss) + gloss for t, gloss in zip(texts, meant, strict=True)]
        self.encode_texts(texts)
        return tuple(texts)


def sentence_minilm(
    templates: Templates = ("a photo of a {}",),
    glosses: bool | str = "auto",
    wordnet: str | Path | None = None,
    glove_weight: float = 0.0,
) -> SentenceVectors:
    """Make vectors by all-MiniLM-L6-v2; D = 384, or 434 with GloVe. Nothing is downloaded.

    In a config: `word_vectors=sentence_minilm word_vectors.glove_weight=0.3`.

    Args:
        templates: Sentences with {} where the name goes; several are averaged.
        glosses: true adds WordNet's definitions, false does not, "auto" does if WordNet is found.
        wordnet: The folder with index.noun and data.noun; None looks in the usual locations.
        glove_weight: The share of GloVe 6B (50-d) in the cosine of two texts, in [0, 1).

    Returns:
        Vectors that any text has.

    Raises:
        InputError: A package or WordNet is not installed, or a value is wrong.
    """
    prompts = _checked(templates, glove_weight)
    encoder = load_minilm()
    nouns = _wordnet(glosses, wordnet)
    glove = glove_6b_50d() if glove_weight else None
    files = [checksum(nouns.folder / file) for file in FILES] if nouns else []
    joined = [glove_weight, glove.fingerprint] if glove else []
    content = [encoder.fingerprint, prompts, files, joined]
    return SentenceVectors(
        name=_title(nouns, glove, glove_weight),
        fingerprint=fingerprint(json.dumps(content)),
        table=empty_table(DIM + (glove.dim if glove else 0)),
        encoder=encoder,
        templates=prompts,
        wordnet=nouns,
        glove=glove,
        glove_weight=float(glove_weight),
    )


def _title(wordnet: WordNet | None, glove: WordVectors | None, glove_weight: float) -> str:
    """Name the vectors by what they are made of."""
    title = "sentence_minilm"
    title += f" with glosses of WordNet {wordnet.version}".rstrip() if wordnet else ""
    return title + (f" and {glove_weight:g} {glove.name}" if glove else "")


def _checked(templates: Templates, glove_weight: float) -> tuple[str, ...]:
    """Return the templates as a tuple; raise InputError for a wrong one or a wrong weight."""
    prompts = read_templates("word_vectors.templates", templates)
    number = isinstance(glove_weight, int | float) and not isinstance(glove_weight, bool)
    if not number or not 0 <= glove_weight < 1:
        raise InputError(f"word_vectors.glove_weight is {glove_weight!r}: give a share in [0, 1)")
    return prompts


def _wordnet(glosses: bool | str, folder: str | Path | None) -> WordNet | None:
    """Open WordNet if definitions are wanted."""
    if glosses not in (True, False, "auto"):
        raise InputError(f"word_vectors.glosses is {glosses!r}: say auto, true or false")
    if glosses is False:
        return None
    path = find_wordnet() if folder is None else Path(folder).expanduser()
    if path is not None:
        return WordNet(path)
    if glosses == "auto":
        notify("no WordNet is found, so classes are described by their names alone")
        return None
    raise InputError(
        "word_vectors.glosses=true needs WordNet: install Debian's wordnet-base, or say with "
        "word_vectors.wordnet=FOLDER where index.noun and data.noun are"
    )


def _glove_vector(text: str, glove: WordVectors) -> np.ndarray:
    """Return GloVe's (50,) vector of a name before its gloss.

    By the rules of `labels`, or as the mean of the words that GloVe knows; zeros if it knows none,
    so that the sentence alone counts.
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
