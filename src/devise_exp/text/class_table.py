"""Class vectors of one's own: a table of names and numbers, such as attributes."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from devise_exp.core.array_files import load_array, load_arrays
from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint
from devise_exp.core.name_files import read_names
from devise_exp.text.names import split_synonyms, split_words
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.table import open_or_build
from devise_exp.text.word_vectors.vectors import WordVectors

_LARGEST = 2**30  # bytes of a table
_HINT = (
    "give a CSV or TSV with lines NAME,NUMBER,NUMBER..., an .npz of names and vectors (or an array "
    "for each class), or an .npy with word_vectors.names=FILE"
)
Table = tuple[list[str], np.ndarray]


def class_table(path: str | Path, names: str | Path | None = None) -> WordVectors:
    """Read a table of classes and their vectors; each vector is brought to unit length.

    In a config: `word_vectors=class_table word_vectors.path=attributes.csv`.

    Args:
        path: .csv or .tsv: a name, then its numbers, on every line, with or without a heading;
            .npz: names (C,) and vectors (C, D), or an array (D,) by the name of each class; .npy:
            (C, D), with `names`.
        names: A file of C names in the order of the rows; needed for an .npy.

    Returns:
        Vectors of the names, in lower case and without marks; no other word has one.

    Raises:
        InputError: A file is missing, damaged or no such table, two classes have one name, or a
            vector is zero or not finite.
    """
    file = Path(path).expanduser()
    where = f"word_vectors.path={path}"
    if not file.is_file():
        raise InputError(f"{where}: no such file: {_HINT}")
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST:,} bytes")
        classes, vectors = _read(file, names)
        if not classes or vectors.ndim != 2 or len(classes) != len(vectors):
            raise ValueError(f"{len(classes)} names for an array of {vectors.shape}")
    except InputError:
        raise
    except (OSError, ValueError, csv.Error, MemoryError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{where}: no table of class vectors ({reason}): {_HINT}") from error
    _check_lengths(where, classes, vectors)
    return named_vectors(file.stem, where, classes, vectors)


def named_vectors(
    title: str, where: str, classes: Sequence[str], vectors: np.ndarray, remedy: str = ""
) -> WordVectors:
    """Make word vectors of class names, in lower case and without marks; nothing else has one.

    Args:
        title: Name in tables.
        where: What holds the names, for messages.
        classes: C names; of synonyms between commas each is a word.
        vectors: (C, D) numbers.
        remedy: What to do about two classes of one name.

    Returns:
        The word vectors.

    Raises:
        InputError: Two classes have one name.
    """
    words = [" ".join(split_words(name)).lower() for name in classes]
    repeated = [word for word, n in Counter(words).items() if n > 1 or not word]
    if repeated:
        raise InputError(
            f"{where} has several classes called {repeated[0]!r}, so words cannot tell them apart: "
            f"{remedy or 'leave one out'}"
        )
    rows = list(range(len(words)))
    for row, name in enumerate(classes):
        for synonym in split_synonyms(name)[: 9 if "," in name else 0]:
            word = " ".join(split_words(synonym)).lower()
            if word and word not in words:
                words.append(word)
                rows.append(row)
    table = np.asarray(vectors)[rows]
    content = fingerprint(repr(words), np.ascontiguousarray(table).tobytes())

    def read(folder: Path) -> VectorSource:
        return VectorSource(path=Path(title), dim=table.shape[1], entry="class", chunks=chunks())

    def chunks() -> Generator[Chunk, None, None]:
        yield Chunk([word.encode() for word in words], table, 1, 1.0)

    built = open_or_build(cache_dir() / "word_vectors" / content, read, None)
    return WordVectors(title, content, built)


def _read(file: Path, names: str | Path | None) -> Table:
    """Names and vectors, not yet checked against one another."""
    listed = None if names is None else read_names(names, "word_vectors.names")
    suffix = file.suffix.lower()
    if suffix == ".npy":
        if listed is None:
            raise ValueError("an .npy has no names: give word_vectors.names=FILE, a name a line")
        return listed, _numbers(load_array(file))
    if suffix == ".npz":
        return _of_arrays(load_arrays(file, compressed_up_to=_LARGEST), listed)
    if listed is not None:
        raise ValueError("word_vectors.names is for an .npy or .npz, a table has its own names")
    return _of_lines(file)


def _of_arrays(arrays: dict[str, np.ndarray], listed: list[str] | None) -> Table:
    """One array of texts and one of vectors, or an array for each class."""
    texts = [array for array in arrays.values() if array.dtype.kind == "U" and array.ndim == 1]
    matrices = [array for array in arrays.values() if array.ndim == 2]
    if len(matrices) == 1 and (listed is not None or len(texts) == 1):
        return listed or [str(name) for name in texts[0]], _numbers(matrices[0])
    if matrices or texts or not arrays or len({array.shape for array in arrays.values()}) > 1:
        kinds = ", ".join(f"{key} {array.dtype} {array.shape}" for key, array in arrays.items())
        raise ValueError(f"it holds {kinds[:100] or 'nothing'}")
    return listed or list(arrays), _numbers(np.stack(list(arrays.values())))


def _of_lines(file: Path) -> Table:
    """Lines of a name and numbers."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        delimiter = max("\t;,", key=first.count)
        names: list[str] = []
        rows: list[np.ndarray] = []
        for fields in csv.reader(stream, delimiter=delimiter):
            if not any(map(str.strip, fields)):
                continue
            try:
                row = np.array(fields[1:], dtype=np.float64)
            except ValueError:
                if not rows and not names:
                    names.append("")  # a heading
                    continue
                raise ValueError(f"line {len(names) + 1}: {fields[0]!r} has no numbers") from None
            if rows and len(row) != len(rows[0]):
                raise ValueError(f"{fields[0]!r} has {len(row)} numbers, not {len(rows[0])}")
            names.append(fields[0].strip())
            rows.append(row)
    if not rows or not len(rows[0]):
        raise ValueError("it has no line of a name and numbers")
    return names[-len(rows) :], np.stack(rows)


def _numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"vectors of {array.dtype}")
    return array.astype(np.float64)


def _check_lengths(where: str, classes: Sequence[str], vectors: np.ndarray) -> None:
    """InputError for a vector without a direction."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    for name, length in zip(classes, lengths.tolist(), strict=True):
        if not 1e-6 < length < np.inf:
            raise InputError(
                f"{where}: the vector of {name!r} is zero or not finite, so it has no direction: "
                "correct or remove it"
            )
