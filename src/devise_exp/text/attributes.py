"""Class attributes of Xian et al. 2018 as word vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import SPLITS, dataset_title
from devise_exp.data.xlsa17.matlab import PUBLISHED
from devise_exp.text.names import split_words
from devise_exp.text.word_vectors.table import Chunk, VectorSource, open_or_build
from devise_exp.text.word_vectors.vectors import WordVectors

if TYPE_CHECKING:
    pass


def xlsa17_attributes(root: str | Path, name: str) -> WordVectors:
    """The attributes of each class, D = A, as the unit vector of its name ("killer whale").

    Names are in lower case, without marks. Raises InputError for a class without attributes.
    """
    classes, vectors = files.read_attributes(root, name)
    words = [" ".join(split_words(each)).lower() for each in classes]
    alike = [word for word, n in Counter(words).items() if n > 1 or not word]
    if alike:
        raise InputError(
            f"{SPLITS} of {name}: allclasses_names has several classes called "
            f"{alike[0]!r}, so words cannot tell them apart: {PUBLISHED}"
        )
    content = fingerprint(repr(words), vectors.tobytes())

    def read(folder: Path) -> VectorSource:
        return VectorSource(Path(SPLITS), vectors.shape[1], "class", chunks())

    def chunks() -> Generator[Chunk, None, None]:
        yield Chunk([word.encode() for word in words], vectors, 1, 1.0)

    table = open_or_build(cache_dir() / "word_vectors" / content, read, None)
    return WordVectors(f"{dataset_title(name)}_attributes", content, table)
