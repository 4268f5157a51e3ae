"""Class vectors of sentences: names in a prompt, with WordNet's definition, or descriptions.

Any text has a vector, so a run with these vectors can be searched by whole sentences. Prompts as
in Radford et al. 2021 (CLIP), section 3.1.4, where several are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.text.descriptions import GLOSS, Descriptions
from devise_exp.text.labels import Resolution, class_vectors, resolve
from devise_exp.text.names import split_words
from devise_exp.text.templates import fill
from devise_exp.text.text_encoder import CutTexts, TextEncoder
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import WordNet
from devise_exp.text.wordnet.glosses import class_definitions, readable_name


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
        descriptions: Sentences for classes, in place of templates and definitions, if any.
        needs_all: Whether a class without a description is missing; else its name stands for it.
    """

    encoder: TextEncoder
    templates: tuple[str, ...]
    wordnet: WordNet | None = None
    glove: WordVectors | None = None
    glove_weight: float = 0.0
    descriptions: Descriptions | None = None
    needs_all: bool = True

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
        groups = [self._sentences(text) for text in texts]
        sentences = normalize_rows(self.encoder.average(groups), np.float64)  # (n, D)
        if self.glove is None:
            return sentences.astype(np.float32)
        words = np.empty((len(texts), self.glove.dim))
        for row, text in zip(words, texts, strict=True):
            row[:] = _glove_vector(text, self.glove)
        share = self.glove_weight
        joined = np.hstack((np.sqrt(1 - share) * sentences, np.sqrt(share) * words))
        return normalize_rows(joined, np.float64).astype(np.float32)

    def class_texts(self, names: Sequence[str], aliases: Sequence[str]) -> tuple[str, ...]:
        """Choose the text of each class: its description, else its alias or name.

        After a colon a name has the definition of WordNet, if there is one. All texts are encoded
        in one go, so that `vector` finds them.

        Args:
            names: C class names, by which descriptions and definitions are looked up.
            aliases: C aliases, "" for a class without one.

        Returns:
            C texts.
        """
        pairs = list(zip(names, aliases, strict=True))
        texts = [readable_name(alias or name) for name, alias in pairs]
        if self.wordnet is not None:
            meant = class_definitions(names, aliases, self.wordnet, self.encoder)
            texts = [t + GLOSS * bool(gloss) + gloss for t, gloss in zip(texts, meant, strict=True)]
        if self.descriptions is not None:
            entries = [self.descriptions.find(*pair) for pair in pairs]
            texts = [
                text if entry is None else self.descriptions.text(entry)
                for text, entry in zip(texts, entries, strict=True)
            ]
        self.encode_texts(texts)
        return tuple(texts)

    def undescribed(self, names: Sequence[str], aliases: Sequence[str]) -> tuple[str, ...]:
        """List the classes that a file of descriptions should describe and does not.

        Args:
            names: C class names.
            aliases: C aliases, "" for a class without one.

        Returns:
            Their names.
        """
        if self.descriptions is None or not self.needs_all:
            return ()
        find = self.descriptions.find
        pairs = zip(names, aliases, strict=True)
        return tuple(name for name, alias in pairs if find(name, alias) is None)

    def cut_texts(self, texts: Sequence[str]) -> CutTexts:
        """Tell which texts stand for sentences that are longer than the model reads.

        Args:
            texts: n texts.

        Returns:
            The texts, and how many tokens the model reads.
        """
        return self.encoder.cut([self._sentences(text) for text in texts])

    def cut_line(self, resolutions: Sequence[Resolution]) -> str:
        """Say which classes have texts that are longer than the model reads.

        Args:
            resolutions: The text of each class.

        Returns:
            One line with their number and the one of the longest text; "" if there is none.
        """
        texts = {r.name: r.words[0] for r in resolutions if r.words}
        cut = self.cut_texts(list(texts.values()))
        long = [name for name, is_cut in zip(texts, cut.is_cut, strict=True) if is_cut]
        if not long:
            return ""
        longest = max(long, key=lambda name: max(map(len, self._sentences(texts[name]))))
        return (
            f"{len(long):,} of {len(texts):,} classes have texts of more than the {cut.limit} "
            f"tokens that {self.name} reads: their ends count for nothing (the longest: {longest})"
        )

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        """List described classes that are spelt like `word`; any other text has a vector anyhow."""
        return [] if self.descriptions is None else self.descriptions.near(word, n)

    def _sentences(self, text: str) -> Sequence[str]:
        """The sentences whose vectors are averaged: a description, or the text in the templates."""
        described = None if self.descriptions is None else self.descriptions.sentences(text)
        return described or [fill(template, text) for template in self.templates]


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
