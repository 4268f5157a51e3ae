"""Files are told by their content; what is no word vectors is called by what it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import agree, broken, save

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import load_word_vectors

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5646236541\n"


def numpy_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.eye(3, dtype=np.float32))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<!DOCTYPE html>\n<html>not found</html>\n",
            "a web page and not .*fetch the file itself",
        ),
        (b'\xef\xbb\xbf  <HTML lang="en"><title>Google Drive</title>', "this is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "this is a web page"),
        (LFS, "a pointer of Git LFS and not .*git lfs pull"),
        (b"/annex/objects/MD5E-s5--ab.vec\n", "a pointer of git-annex"),
        (b'{"okapi": [0.1, 0.2]}', "this is JSON"),
        (numpy_file(), "an array of numpy without words and"),
        ("the 1 2\nemu 3 4\n".encode("utf-16"), "text in UTF-16 .*iconv"),
        ("the 1 2\nemu 3 4\n".encode("utf-16-le"), "text in UTF-16 .*iconv"),
        (b"SQLite format 3\0" + bytes(100), "a database of SQLite"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_what_is_no_word_vectors_is_named(
    content: bytes, message: str, tmp_path: Path, cache: Path
) -> None:
    broken(tmp_path, cache, content, message)
    assert "damaged" not in message


def test_a_table_of_numpy_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", names=np.array(["cat", "dog"]), vectors=np.eye(2))
    with pytest.raises(InputError, match=r"arrays of numpy and not .*word_vectors=class_table"):
        load_word_vectors(tmp_path / "table.npz")


@pytest.mark.parametrize(
    ("kind", "name"), [("bin", "a.vec"), ("vec", "a.bin"), ("vec", "a.vec.gz"), ("bin.gz", "a.bin")]
)
def test_the_name_of_a_file_does_not_count(
    kind: str, name: str, keyed: KeyedVectors, tmp_path: Path
) -> None:
    save(keyed, kind, tmp_path).rename(tmp_path / name)
    agree(load_word_vectors(tmp_path / name), keyed)


def test_a_model_of_fasttext_may_be_called_vec(fasttext_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.vec"
    path.write_bytes(fasttext_file.read_bytes())
    assert load_word_vectors(path).has_subword_vector("okapis")
    for format in ("word2vec_text", "word2vec_bin", "glove"):
        with pytest.raises(InputError, match=r"is fasttext_bin: set word_vectors\.format=auto"):
            load_word_vectors(path, format=format)


def test_text_is_not_read_as_binary_numbers(keyed: KeyedVectors, tmp_path: Path) -> None:
    path = save(keyed, "vec", tmp_path)
    with pytest.raises(InputError, match=r"is word2vec_text: set word_vectors\.format=auto"):
        load_word_vectors(path, format="word2vec_bin")
    with pytest.raises(InputError, match=r"is word2vec_text: set word_vectors\.format=auto"):
        load_word_vectors(path, format="fasttext_bin")
    agree(load_word_vectors(path, format="glove"), keyed)  # its header is passed over
