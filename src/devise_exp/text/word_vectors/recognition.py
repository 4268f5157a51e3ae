"""Which format a file of word vectors has, and files that are no word vectors at all."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.core.foreign_files import foreign_kind
from devise_exp.text.word_vectors.fasttext_format import MAGIC
from devise_exp.text.word_vectors.streams import read_sample
from devise_exp.text.word_vectors.text_formats import HEADER, is_word2vec_text
from devise_exp.text.word_vectors.unpacking import AGAIN

FORMATS = ("glove", "word2vec_text", "word2vec_bin", "fasttext_bin", "gensim_kv")

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1b]")
_TEXT = ("glove", "word2vec_text")
_AS_TEXT = "give the text, .vec or .bin that it was made from"
# What a file begins with: what it is, and what to do.
_FOREIGN: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"\s*[{\[]\s*[\"\[{]"), "JSON", _AS_TEXT),
    (
        re.compile(rb"\x93NUMPY"),
        "an array of numpy without words",
        "give the .kv or text beside it, or word_vectors=class_table for a row per class",
    ),
    (re.compile(rb"\x89HDF"), "HDF5", _AS_TEXT),
    (re.compile(rb"SQLite format 3"), "a database of SQLite", _AS_TEXT),
    (re.compile(rb"PAR1"), "Parquet", _AS_TEXT),
    (
        re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0[^\0]\0|\0[^\0]\0[^\0]\0[^\0]"),
        "text in UTF-16",
        "convert it: iconv -f UTF-16 -t UTF-8",
    ),
)


def detect_format(path: Path) -> str:
    """Detect the format by the content; the ending of the name counts only in doubt.

    Args:
        path: A file of word vectors, packed or not.

    Returns:
        One of FORMATS.

    Raises:
        InputError: The file is empty, no word vectors, or of no known format.
    """
    sample = read_sample(path)
    if (certain := _certain_format(path, sample)) is not None:
        return certain
    header = HEADER.match(sample.partition(b"\n")[0])
    if header is None and b"\0" in sample:
        known = ", ".join(FORMATS)
        raise InputError(
            f"{path}: none of the known formats ({known}); set word_vectors.format= if it is one"
        )
    if header is None:
        return "glove"
    binary = _CONTROL.search(sample) or ".bin" in path.suffixes
    return "word2vec_bin" if binary else "word2vec_text"


def check_format(path: Path, format: str) -> None:
    """Refuse a file that is certainly of another format than the one that was given.

    Args:
        path: A file of word vectors, packed or not.
        format: One of FORMATS.

    Raises:
        InputError: The file is empty, no word vectors, or of another format.
    """
    certain = _certain_format(path, read_sample(path))
    if certain not in (None, format) and not (certain in _TEXT and format in _TEXT):
        raise InputError(
            f"word_vectors.format={format}, but {path} is {certain}: set word_vectors.format=auto"
        )


def _certain_format(path: Path, sample: bytes) -> str | None:
    """Return the format that the first bytes prove; refuse a file that is no word vectors."""
    if not sample:
        raise InputError(f"{path}, line 1: nothing to read; {AGAIN}")
    if sample[:4] == struct.pack("<i", MAGIC):
        return "fasttext_bin"
    if sample[:1] == b"\x80" and sample[1:2] in (b"\2", b"\3", b"\4", b"\5"):  # a pickle
        return "gensim_kv"
    if is_word2vec_text(sample.split(b"\n", 2)):
        return "word2vec_text"
    if foreign := foreign_kind(sample):
        raise InputError(f"{path}: this is {foreign.what} and not word vectors: {foreign.remedy}")
    for beginning, what, remedy in _FOREIGN:
        if beginning.match(sample):
            raise InputError(f"{path}: this is {what} and not word vectors: {remedy}")
    return None
