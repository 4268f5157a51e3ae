"""Vectors of sentences by encoders of sentence-transformers: all-MiniLM-L6-v2, or any other."""

from __future__ import annotations

import json
from pathlib import Path

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.files import checksum, fingerprint
from devise_exp.text.descriptions import PLAIN, Described, read_described
from devise_exp.text.sentence_encoder import SentenceEncoder, load_minilm, load_sentence_encoder
from devise_exp.text.templates import Templates, read_templates
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.loading import glove_6b_50d
from devise_exp.text.word_vectors.table import empty_table
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import FILES, WordNet, find_wordnet

__all__ = ["SentenceVectors", "sentence_encoder", "sentence_minilm"]


def sentence_minilm(
    templates: Templates = ("a photo of a {}",),
    glosses: bool | str = "auto",
    wordnet: str | Path | None = None,
    glove_weight: float = 0.0,
    descriptions: str | Path | None = None,
    described_as: str = PLAIN,
    undescribed: str = "error",
) -> SentenceVectors:
    """Make vectors by all-MiniLM-L6-v2; D = 384, or 434 with GloVe. Nothing is downloaded.

    In a config: `word_vectors=sentence_minilm word_vectors.glove_weight=0.3`.

    Args:
        templates: Sentences with {} where the name goes, or 1, 7 or 80 published ones; several are
            averaged.
        glosses: true adds WordNet's definitions, false does not, "auto" does if WordNet is found.
        wordnet: The folder with index.noun and data.noun; None looks in the usual locations.
        glove_weight: The share of GloVe 6B (50-d) in the cosine of two texts, in [0, 1).
        descriptions: As of `read_descriptions`; None for none.
        described_as: How a sentence of that file is written.
        undescribed: "error": every class needs a description; "name": others have their names.

    Returns:
        Vectors that any text has.

    Raises:
        InputError: A package or WordNet is not installed, or a value is wrong.
    """
    prompts = _checked(templates, glove_weight)
    described = read_described(descriptions, described_as, undescribed)
    nouns = _wordnet(glosses, wordnet, described)
    return _vectors("sentence_minilm", load_minilm(), prompts, nouns, glove_weight, described)


def sentence_encoder(
    model: str,
    templates: Templates = ("a photo of a {}",),
    glosses: bool | str = "auto",
    wordnet: str | Path | None = None,
    glove_weight: float = 0.0,
    descriptions: str | Path | None = None,
    described_as: str = PLAIN,
    undescribed: str = "error",
) -> SentenceVectors:
    """Make vectors by any encoder of sentence-transformers.

    In a config: `word_vectors=sentence_encoder word_vectors.model=all-mpnet-base-v2`, or
    `word_vectors.model=FOLDER`.

    Args:
        model: A folder as the encoder was saved, or its name on the Hugging Face Hub.
        templates: As of `sentence_minilm`, like all that follows.
        glosses: Likewise.
        wordnet: Likewise.
        glove_weight: Likewise.
        descriptions: Likewise.
        described_as: Likewise.
        undescribed: Likewise.

    Returns:
        Vectors that any text has.

    Raises:
        InputError: The model cannot be had, or a value is wrong.

    Source: Reimers and Gurevych, EMNLP 2019 (Sentence-BERT).
    """
    prompts = _checked(templates, glove_weight)
    encoder = load_sentence_encoder(model)
    described = read_described(descriptions, described_as, undescribed)
    nouns, title = _wordnet(glosses, wordnet, described), f"sentence_encoder {encoder.title}"
    return _vectors(title, encoder, prompts, nouns, glove_weight, described)


def _vectors(
    title: str,
    encoder: SentenceEncoder,
    prompts: tuple[str, ...],
    wordnet: WordNet | None,
    glove_weight: float,
    described: Described,
) -> SentenceVectors:
    """Join what was asked for; the fingerprint is that of all of it."""
    glove = glove_6b_50d() if glove_weight else None
    files = [checksum(wordnet.folder / file) for file in FILES] if wordnet else []
    joined = [glove_weight, glove.fingerprint] if glove else []
    content = [encoder.fingerprint, prompts, files, joined, *described.content]
    return SentenceVectors(
        name=_title(title, wordnet, glove, glove_weight) + described.title,
        fingerprint=fingerprint(json.dumps(content)),
        table=empty_table(encoder.dim + (glove.dim if glove else 0)),
        encoder=encoder,
        templates=prompts,
        wordnet=wordnet,
        glove=glove,
        glove_weight=float(glove_weight),
        descriptions=described.descriptions,
        needs_all=described.needs_all,
    )


def _title(
    title: str, wordnet: WordNet | None, glove: WordVectors | None, glove_weight: float
) -> str:
    """Name the vectors by what they are made of."""
    title += f" with glosses of WordNet {wordnet.version}".rstrip() if wordnet else ""
    return title + (f" and {glove_weight:g} {glove.name}" if glove else "")


def _checked(templates: Templates, glove_weight: float) -> tuple[str, ...]:
    """Return the templates as a tuple; raise InputError for a wrong one or a wrong weight."""
    prompts = read_templates("word_vectors.templates", templates)
    number = isinstance(glove_weight, int | float) and not isinstance(glove_weight, bool)
    if not number or not 0 <= glove_weight < 1:
        raise InputError(f"word_vectors.glove_weight is {glove_weight!r}: give a share in [0, 1)")
    return prompts


def _wordnet(
    glosses: bool | str, folder: str | Path | None, described: Described
) -> WordNet | None:
    """Open WordNet if definitions are wanted; classes with descriptions can do without."""
    if glosses not in (True, False, "auto"):
        raise InputError(f"word_vectors.glosses is {glosses!r}: say auto, true or false")
    if glosses is False:
        return None
    path = find_wordnet() if folder is None else Path(folder).expanduser()
    if path is not None:
        return WordNet(path)
    if glosses == "auto":
        if described.descriptions is None:
            notify("no WordNet is found, so classes are described by their names alone")
        return None
    raise InputError(
        "word_vectors.glosses=true needs WordNet: install Debian's wordnet-base, or say with "
        "word_vectors.wordnet=FOLDER where index.noun and data.noun are"
    )
