"""Packed word vectors are read as they are: by their first bytes, whatever they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import WORDS, agree, broken, save

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import load_word_vectors


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_dot_", ".").replace("_in_", "/"), content)
    return stream.getvalue()


def tarred(mode: str, **files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_dot_", ".").replace("_in_", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "zip": lambda content: zipped(folder_in_vectors=content, __MACOSX_in__dot_x=b"x"),
    "tar": lambda content: tarred("w", vectors=content),
    "tar.gz": lambda content: tarred("w:gz", README=b"read me", folder_in_vectors=content),
    "tar.bz2": lambda content: tarred("w:bz2", vectors=content),
    "tar.xz": lambda content: tarred("w:xz", vectors=content),
    "two.gz": lambda content: gzip.compress(content[:50]) + gzip.compress(content[50:]),
    "gz.gz": lambda content: gzip.compress(gzip.compress(content)),
    "vec.gz.zip": lambda content: zipped(vectors_dot_vec_dot_gz=gzip.compress(content)),
    "rest.gz": lambda content: gzip.compress(content) + b"what a server added",
}


@pytest.mark.parametrize("kind", ["glove.txt", "vec", "bin"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_packed_files_are_read_as_the_plain_ones(
    packing: str, kind: str, keyed: KeyedVectors, tmp_path: Path
) -> None:
    content = save(keyed, kind, tmp_path).read_bytes()
    path = tmp_path / f"crawl-300d.{packing}"
    path.write_bytes(PACKINGS[packing](content))
    ours = load_word_vectors(path)
    agree(ours, keyed)
    again = load_word_vectors(path)
    assert again.fingerprint == ours.fingerprint
    wrongly_named = tmp_path / "vectors.txt"
    wrongly_named.write_bytes(path.read_bytes())
    agree(load_word_vectors(wrongly_named), keyed)


def test_a_model_of_fasttext_may_be_zipped(fasttext_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cc.en.8.bin.zip"
    path.write_bytes(zipped(tiny_dot_bin=fasttext_file.read_bytes()))
    ours = load_word_vectors(path)
    assert ours.name == "cc.en.8"
    assert list(ours.words) == list(load_word_vectors(fasttext_file).words)
    assert ours.has_subword_vector("okapis")


@pytest.mark.parametrize("pack", [zipped, lambda **files: tarred("w:gz", **files)])
def test_of_several_files_in_an_archive_one_is_named(
    pack: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "glove.6B.zip"
    path.write_bytes(pack(glove_dot_2d_dot_txt=b"a 1 0\n", glove_dot_3d_dot_txt=b"a 1 0 0\n"))
    with pytest.raises(InputError) as caught:
        load_word_vectors(path)
    assert (
        f"holds glove.2d.txt, glove.3d.txt: name one of them, as in word_vectors.path={path}/"
        in (str(caught.value))
    )
    two, three = (load_word_vectors(path / f"glove.{d}d.txt") for d in (2, 3))
    assert (two.name, two.dim, three.name, three.dim) == ("glove.2d", 2, "glove.3d", 3)
    assert two.fingerprint != three.fingerprint
    assert load_word_vectors(path / "glove.3d.txt").dim == 3
    with pytest.raises(InputError, match=r"glove\.6B\.zip is no archive that holds glove\.4d\.txt"):
        load_word_vectors(path / "glove.4d.txt")


def test_many_files_in_an_archive_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(zipped(**{f"part{i}_dot_txt": b"a 1\n" for i in range(5000)}))
    with pytest.raises(InputError, match=r"part9\.txt and 4,990 more: name one") as caught:
        load_word_vectors(path)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("packing", sorted(PACKINGS.keys() - {"rest.gz", "tar"}))
def test_a_packed_file_cut_short_says_so(
    packing: str, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    content = PACKINGS[packing](save(keyed, "glove.txt", tmp_path).read_bytes())
    end = 3 * len(content) // 4 if "tar" in packing else -9
    broken(tmp_path, cache, content[:end], "cut short", f"cut.{packing}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x28\xb5\x2f\xfd rest", "packed by zstd, which cannot be read here: unpack it"),
        (b"7z\xbc\xaf\x27\x1c rest", "a 7z archive, which cannot"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive, which cannot"),
        (zipped(), "holds no file of word vectors"),
        (zipped(README=b"x"), "holds no file of word vectors"),
        (gzip.compress(zipped(a=b"a 1\n")), "a zip archive that is packed again: unpack it"),
        (gzip.compress(b""), "nothing to read"),
        (zipped(page=b"<html></html>"), "v.txt/page: this is a web page"),
    ],
    ids=["zstd", "7z", "rar", "empty zip", "no vectors", "zip in gzip", "empty gzip", "web page"],
)
def test_what_cannot_be_unpacked_is_named(
    content: bytes, message: str, tmp_path: Path, cache: Path
) -> None:
    broken(tmp_path, cache, content, message)


def test_a_password_and_a_damaged_part_are_named(
    keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    content = bytearray(zipped(vectors=save(keyed, "glove.txt", tmp_path).read_bytes()))
    locked = bytearray(content)
    locked[6] |= 1
    locked[content.index(b"PK\x01\x02") + 8] |= 1
    broken(tmp_path, cache, bytes(locked), "encrypted, password required.*unpack it first")
    content[80] ^= 0x55
    broken(tmp_path, cache, bytes(content), r"line \d.*cut short or damaged")


def test_a_pickle_in_an_archive_is_neither_run_nor_read(
    keyed: KeyedVectors, tmp_path: Path
) -> None:
    keyed.save(str(tmp_path / "plain.kv"))
    path = tmp_path / "vectors.zip"
    path.write_bytes(zipped(vectors_dot_kv=(tmp_path / "plain.kv").read_bytes()))
    with pytest.raises(InputError, match=r"vectors\.kv is a pickle"):
        load_word_vectors(path)
    with pytest.raises(InputError, match="gensim opens no file in an archive: unpack it"):
        load_word_vectors(path, trust_pickle=True)


def test_the_limit_holds_in_an_archive(keyed: KeyedVectors, tmp_path: Path) -> None:
    path = tmp_path / "vectors.zip"
    path.write_bytes(zipped(vectors=save(keyed, "vec", tmp_path).read_bytes()))
    assert list(load_word_vectors(path, limit=3).words) == WORDS[:3]
