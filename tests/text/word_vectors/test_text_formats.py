from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import KINDS, agree, broken, save, unit

from devise_exp.text.word_vectors import (
    load_word_vectors,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_reads_as_gensim_reads_it(
    kind: str, keyed: KeyedVectors, tmp_path: Path
) -> None:
    path = save(keyed, kind, tmp_path)
    theirs = KeyedVectors.load_word2vec_format(
        str(path), binary="bin" in kind, no_header="glove" in kind
    )
    ours = load_word_vectors(path)
    agree(ours, theirs)
    assert ours.dim == 6
    assert len(ours) == 8
    assert ours.rank("Okapi") is None
    assert not ours.has_subword_vector("Okapi")


def test_words_with_spaces_and_odd_bytes(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    lines = [
        b"the 1 0 0",
        b". . . 0 1 0",
        b"at name@domain.com 0 0 1",
        b"caf\xe9 1 1 0",
        b"\xc2\x85 1 0 1",  # a line separator to str.splitlines
        b"\xc2\xa0 0 1 1",
        b"12 3 4 5",
        b"tab\t1\t2  3",
    ]
    path.write_bytes(b"\r\n".join(lines) + b"\r\n\r\n")
    ours = load_word_vectors(path)
    assert list(ours.words) == [
        "the", ". . .", "at name@domain.com", "caf\ufffd", "\x85", "\xa0", "12", "tab",
    ]  # fmt: skip
    np.testing.assert_allclose(ours.vector(". . ."), [0, 1, 0])
    np.testing.assert_allclose(ours.vector("12"), unit(np.array([3.0, 4, 5])), atol=1e-6)
    np.testing.assert_allclose(ours.vector("tab"), unit(np.array([1.0, 2, 3])), atol=1e-6)
    assert "caf?" not in ours
    assert "caf\udce9" not in ours


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: nothing to read"),
        (b"\n\n", "holds no word"),
        (b"a 1 2\nb 1\nc 1 2\n", "line 2: expected a word and 2 numbers, found a word and 1; cor"),
        (b"a 1 2\nb 1 x\nc 1 2\n", "line 2: .*could not convert"),
        (b"a 1 2\nb 1 nan\n", "line 2: the vector of 'b' has a number that is not finite"),
        (b"a 1 2\nb 1 1e39\n", "line 2: .*not finite"),
        (b"a 1 2\n\nb 1 2\n", "line 2: the line is empty"),
        (b"a 0 0\nb 0 0\n", "holds no word"),
        (b"3000 2\na 1 2\nb 1 2", "line 4: the file ends in the line before, with 2 of the 3,000"),
        (b"3 2\na 1 2\nb 1 2\nc 1", "line 4: expected a word and 2 numbers"),
        (
            b"a 1 2\nb 1 2 3\nc 1 2\n",
            "line 2: expected a word and 2 numbers, found a word and 3; c",
        ),
        (b"a .1 2.5\nb .1 2.5 7.5\nc .1 2.5\n", "line 2: .*2 numbers, found a word and 3"),
        (b"2 3\na 1 2\nb 1 2\n", "line 2: expected a word and 3 numbers, found a word and 2; c"),
        (b"2 2\na 1 2 3\nb 1 2 3\n", "line 2: expected a word and 2 numbers, found a word and 3"),
        (b"a 1 2\nb 1 -inf\n", "line 2: the vector of 'b' has a number that is not finite"),
        (b"a 1,5 2,5\nb 1,5 2\n", "line 1: .*write numbers with points"),
        (b"2 2\na,1,2\nb,1,2\n", "line 2: .*found commas; put spaces"),
        (b"a 1 2\rb 1 2\rc 1 2\r", r"line 1: its lines end in CR alone: convert .*tr '.r' '.n'"),
        (b"2 9" + b"0" * 12 + b"\na 1 2\n", "line 1: 9,000,.* numbers a word are more than"),
        (b"9" * 5000 + b" 2\na 1 2\n", "line 1: expected a word and 2 numbers, found a word and 1"),
        (b"a " + b"1 " * 3_000_000 + b"\n", "more than 4,194,304 bytes without a line end"),
        (b"PK\x03\x04 anything", "its list of files cannot be read .*cut short or damaged"),
        (b"\x7fELF\0\0\0\0\n", "none of the known formats"),
        (b"Read me first.\nThis is text.\n", "line 1: .*is it a word-vector file"),
    ],
)
def test_broken_text_names_the_line(
    content: bytes, message: str, tmp_path: Path, cache: Path
) -> None:
    broken(tmp_path, cache, content, message)


@pytest.mark.parametrize("promised", [1, 2, 4, 3000])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", "\n\n"])
def test_a_header_that_miscounts_is_a_warning(
    promised: int, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wiki.vec"
    path.write_text(
        f"{promised} 2 {end}a 1 0{end}b 0 1{end}c 3 4{end}".replace("\n\n", "\n") + "\n"
    )
    ours = load_word_vectors(path)
    assert list(ours.words) == ["a", "b", "c"]
    note = " ".join(capsys.readouterr().err.split())
    assert f"wiki.vec: its first line promises {promised:,} words, it holds 3: all of" in note
    assert list(load_word_vectors(path, limit=2).words) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_the_last_line_needs_no_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wiki.vec"
    path.write_text("4 2\na 1 0\nb 0 1\nc 3 4")
    assert list(load_word_vectors(path).words) == ["a", "b", "c"]
    assert "promises 4 words" in capsys.readouterr().err


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("header", [b"", b"3 2\n", b" 3\t2  \r\n"])
@pytest.mark.parametrize("format", ["auto", "glove"])
def test_a_byte_order_mark_is_no_letter(
    mark: bytes, header: bytes, format: str, tmp_path: Path
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(mark + header + b"the 1 0\r\nroute 66 0.5 1\r\nemu\t3\t4\r\n")
    ours = load_word_vectors(path, format=format)
    assert list(ours.words) == ["the", "route 66", "emu"]
    assert ours.dim == 2


def test_broken_line_beyond_the_first_chunk(tmp_path: Path, cache: Path) -> None:
    lines = [f"w{i} {i + 1} 2" for i in range(5000)]
    lines[4321] = "w4321 1"
    broken(tmp_path, cache, "\n".join(lines).encode(), "line 4322: expected a word and 2 numbers")
    assert len(load_word_vectors(tmp_path / "v.txt", limit=4321)) == 4321


@pytest.mark.parametrize("kind", ["glove.txt", "vec", "bin"])
def test_packed_file_cut_short(kind: str, keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    content = gzip.compress(save(keyed, kind, tmp_path).read_bytes())
    what = "word" if kind == "bin" else "line"
    broken(tmp_path, cache, content[:-40], rf"{what} \d.*cut short", f"cut.{kind}.gz")


def test_packed_file_with_wrong_checksum(keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    content = bytearray(gzip.compress(save(keyed, "glove.txt", tmp_path).read_bytes()))
    content[-8] ^= 1
    broken(tmp_path, cache, bytes(content), "line 9: .*damaged", "v.txt.gz")
