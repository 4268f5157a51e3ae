"""Mutated files of word vectors of all formats, read as a run reads them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

WORDS = ["the", ",", "okapi", "New_York", "naïve", "東京", "route 66", "emu", "</s>", "a" * 300]
DIM = 6


def _rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(WORDS), DIM)).astype(np.float32)


def _text(header: bool, end: str = "\n") -> bytes:
    lines = [f"{len(WORDS)} {DIM}"] if header else []
    lines += [
        " ".join([word, *(f"{x:.5f}" for x in row)])
        for word, row in zip(WORDS, _rows(), strict=True)
    ]
    return "".join(line + end for line in lines).encode()


def _binary() -> bytes:
    head = f"{len(WORDS)} {DIM}\n".encode()
    words = [word.replace(" ", "_").encode() for word in WORDS]
    return head + b"".join(w + b" " + row.tobytes() for w, row in zip(words, _rows(), strict=True))


@cache
def _fasttext() -> bytes:
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    model = FastText(
        [["okapi", "eats", "leaves"], ["naïve", "emu", "東京", "eats"]] * 4,
        vector_size=DIM, min_count=1, epochs=1, bucket=40, workers=1, seed=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        save_facebook_model(model, f"{folder}/model.bin")
        return Path(folder, "model.bin").read_bytes()


def _zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.vec", content)
    return stream.getvalue()


def _tar(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("vectors.vec")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "glove": lambda: _text(header=False),
    "vec": lambda: _text(header=True, end=" \n"),
    "word2vec bin": _binary,
    "fastText bin": _fasttext,
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": _zip,
    "tar.gz": _tar,
}


def _change_bytes(content: bytearray, random: random.Random) -> None:
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] = random.randrange(256)


def _cut(content: bytearray, random: random.Random) -> None:
    del content[random.randrange(len(content)) :]


def _insert(content: bytearray, random: random.Random) -> None:
    piece = random.choice(
        [b"\n", b"\r\n", b"\t", b"\0", b" ", b"nan ", b"inf ", b"1e999 ", b"0,5 ", b"\xef\xbb\xbf",
         b"\xff\xfe", b"\xe2\x80\xa8", random.randbytes(20), b"9" * 5000, b"x" * 100_000]
    )  # fmt: skip
    at = random.randrange(len(content) + 1)
    content[at:at] = piece


def _claim(content: bytearray, random: random.Random) -> None:
    """Another header: counts that are wrong by one, or huge."""
    counts = (0, 1, 9, 11, 10**6, 10**12, 2**63, 10**30)
    dims = (0, 1, 5, 7, 300, 65_536, 10**9, 2**31, 10**30)
    first = bytes(content).partition(b"\n")[0]
    header = f"{random.choice(counts)} {random.choice(dims)}".encode()
    content[: len(first)] = header


def _integers(content: bytearray, random: random.Random) -> None:
    """Extreme numbers where a binary header has its own."""
    at = 4 * random.randrange(min(30, len(content) // 4))
    content[at : at + 4] = struct.pack("<i", random.choice([-1, 0, 1, 2**31 - 1, -(2**31), 65_537]))


def _repeat(content: bytearray, random: random.Random) -> None:
    at, size = random.randrange(len(content)), random.randint(1, 200)
    content[at:at] = bytes(content[at : at + size]) * random.randint(1, 50)


MUTATIONS = {
    "bytes changed": _change_bytes,
    "cut short": _cut,
    "something inserted": _insert,
    "header claims": _claim,
    "integers of the header": _integers,
    "a piece repeated": _repeat,
}


def make(folder: Path, random: random.Random, number: int) -> str:
    """Write the file of a case, packed before or after it is changed.

    Args:
        folder: Gets one file.
        random: Decides the rest.
        number: Of the case: its format, packing and change go in turn.

    Returns:
        The sort of case.
    """
    format = list(FORMATS)[number % len(FORMATS)]
    mutation = list(MUTATIONS)[number // len(FORMATS) % len(MUTATIONS)]
    packing = random.choice(list(PACKINGS)) if random.random() < 0.5 else "plain"
    content = bytearray(FORMATS[format]())
    outside = packing != "plain" and random.random() < 0.3
    if not outside:
        MUTATIONS[mutation](content, random)
    content = bytearray(PACKINGS[packing](bytes(content)))
    if outside:
        MUTATIONS[mutation](content, random)
    (folder / random.choice(["v.txt", "v.vec", "v.bin", "v.gz", "v.zip"])).write_bytes(content)
    return f"{format}, {mutation}"


def prepare() -> None:
    """Import what is slow, and make the model once."""
    _fasttext()


def read(folder: Path) -> str:
    """Read the file as a run does, and look words up.

    Args:
        folder: Of `make`.

    Returns:
        How many words of which dimension.
    """
    from devise_exp.text.word_vectors import load_word_vectors

    [path] = folder.iterdir()
    with tempfile.TemporaryDirectory() as cache_folder:
        os.environ["DEVISE_CACHE"] = cache_folder
        vectors = load_word_vectors(path)
        rows = np.asarray(vectors.vectors)
        assert np.isfinite(rows).all()
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
        assert len(set(vectors.words)) == len(vectors.words) == len(rows) > 0
        assert all(vectors.rank(word) == i for i, word in enumerate(vectors.words))
        assert "\ufeff" not in vectors.words[0]
        vectors.near_spellings("okapy")
        vectors.has_subword_vector("okapis")
        return f"{len(rows)} x {vectors.dim}"
