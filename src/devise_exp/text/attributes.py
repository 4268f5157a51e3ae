"""Class attributes of Xian et al. 2018 as word vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import SPLITS, dataset_title
from devise_exp.data.xlsa17.matlab import PUBLISHED
from devise_exp.text.names import split_words
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.table import open_or_build
from devise_exp.text.word_vectors.vectors import WordVectors


def xlsa17_attributes(root: str | Path, name: str) -> WordVectors:
    """Load the attributes of each class, D = A, as the unit vector of its name ("killer whale").

    In a config: `data=xlsa17 data.root=FOLDER data.name=AWA2`, which chooses
    `word_vectors=xlsa17_attributes`.

    Args:
        root: The folder of the unpacked archive.
        name: The data set, such as AWA2.

    Returns:
        Vectors of the class names, in lower case and without marks; no other word has one.

    Raises:
        InputError: A file is missing or damaged, two classes have one name, or a class has no
            attributes.
    """
    classes, vectors = files.read_attributes(root, name)
    words = [" ".join(split_words(class_name)).lower() for class_name in classes]
    repeated = [word for word, n in Counter(words).items() if n > 1 or not word]
    if repeated:
        raise InputError(
            f"{SPLITS} of {name}: allclasses_names has several classes called "
            f"{repeated[0]!r}, so words cannot tell them apart: {PUBLISHED}"
        )
    content = fingerprint(repr(words), vectors.tobytes())

    def read(folder: Path) -> VectorSource:
        dim = vectors.shape[1]
        return VectorSource(path=Path(SPLITS), dim=dim, entry="class", chunks=chunks())

    def chunks() -> Generator[Chunk, None, None]:
        yield Chunk([word.encode() for word in words], vectors, 1, 1.0)

    table = open_or_build(cache_dir() / "word_vectors" / content, read, None)
    return WordVectors(f"{dataset_title(name)}_attributes", content, table)
