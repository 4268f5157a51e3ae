"""Descriptions of classes: their files, which class gets what, and averages of sentences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.text.descriptions import Descriptions, read_described, read_descriptions
from devise_exp.text.labels import class_vectors, resolve
from devise_exp.text.missing_words import MissingWordsError
from devise_exp.text.text_encoder import TextEncoder
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.table import empty_table

SENTENCES = {
    "okapi": ["It has striped legs.", "A shy animal of the forest.", "Its tongue is blue."],
    "sea horse": ["A fish that swims upright."],
    "tench, Tinca tinca": ["A green fish."],
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Letters(TextEncoder):
    """An encoder by the counts of letters; it notes what it was asked for."""

    asked: list[str] = field(default_factory=list)

    def _encode(self, texts: list[str]) -> np.ndarray:
        self.asked.extend(texts)
        rows = np.array([[1 + t.lower().count(c) for c in "abcdefghij"] for t in texts], float)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SentenceVectors:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "d.json").write_text(json.dumps(SENTENCES))
    described = read_described(tmp_path / "d.json", "{description}", "error")
    return SentenceVectors(
        name="letters", fingerprint="f", table=empty_table(10),
        encoder=Letters(fingerprint="letters"), templates=("a {}.", "the {}"),
        descriptions=described.descriptions, needs_all=described.needs_all,
    )  # fmt: skip


def test_a_cache_of_before_does_not_say_what_was_cut(vectors: SentenceVectors) -> None:
    vectors.encode_texts(["cat"])
    cache = vectors.encoder.cache
    with np.load(cache) as arrays:
        np.savez(cache, keys=arrays["keys"], vectors=arrays["vectors"])
    again = Letters(fingerprint="letters")
    assert not again.cut([("a cat.", "the cat")]).is_cut.any()
    assert again.asked == []


def slow_mean(sentences: Sequence[str]) -> list[float]:
    """The mean of unit vectors at unit length, number by number."""
    total = [0.0] * 10
    for sentence in sentences:
        counts = [1 + sentence.lower().count(c) for c in "abcdefghij"]
        length = sum(n * n for n in counts) ** 0.5
        total = [t + n / length for t, n in zip(total, counts, strict=True)]
    length = sum(t * t for t in total) ** 0.5
    return [t / length for t in total]


def test_the_sentences_of_a_class_are_averaged(vectors: SentenceVectors) -> None:
    names = ["Okapi", "023.sea_horse", "Tinca tinca", "tench"]
    resolutions = resolve(names[:3], vectors, of_classes=True)
    assert [r.display_name for r in resolutions] == ["okapi", "sea horse", "tench, Tinca tinca"]
    assert resolutions[0].words == ("okapi: It has striped legs. (and 2 more)",)
    for row, entry in zip(class_vectors(resolutions, vectors), SENTENCES.values(), strict=True):
        np.testing.assert_allclose(row, slow_mean(entry), atol=1e-6)
    assert vectors.undescribed(names, [""] * 4) == ()


def test_other_texts_are_encoded_in_the_templates(vectors: SentenceVectors) -> None:
    """A query of a search is no class: it needs no description."""
    (query,) = resolve(["zebra"], vectors, on_missing="drop")
    expected = slow_mean(["a zebra.", "the zebra"])
    np.testing.assert_allclose(vectors.vector(*query.words), expected, atol=1e-6)


def test_missing_classes_are_listed_dropped_or_named(vectors: SentenceVectors) -> None:
    names = ["okapi", "sea horses", "okapy", "zebra"]
    with pytest.raises(
        MissingWordsError,
        match=r"describes 2 of 4 classes, not 'okapy' \(near: okapi\);.*undescribed=name",
    ):
        resolve(names, vectors, of_classes=True)
    rules = [r.rule for r in resolve(names, vectors, on_missing="drop", of_classes=True)]
    assert rules == ["exact", "exact", "missing", "missing"]
    aliased = resolve(["ocapi"], vectors, {"ocapi": "okapi"}, of_classes=True)
    assert (aliased[0].rule, aliased[0].display_name) == ("alias", "okapi")
    nearest = resolve(["okapy"], vectors, on_missing="nearest", of_classes=True)
    assert (nearest[0].rule, nearest[0].display_name) == ("nearest", "okapi")


def test_names_may_stand_for_classes_without_a_description(vectors: SentenceVectors) -> None:
    from dataclasses import replace

    lenient = replace(vectors, needs_all=False)
    resolutions = resolve(["okapi", "zebra"], lenient, of_classes=True)
    assert [r.words[0].count(":") for r in resolutions] == [1, 0]
    expected = slow_mean(["a zebra.", "the zebra"])
    np.testing.assert_allclose(class_vectors(resolutions, lenient)[1], expected, atol=1e-6)


def test_only_means_are_kept_and_nothing_is_encoded_twice(vectors: SentenceVectors) -> None:
    encoder = vectors.encoder
    assert isinstance(encoder, Letters)
    resolve(["okapi", "sea horse"], vectors, of_classes=True)
    asked = list(encoder.asked)
    assert sorted(asked) == sorted(SENTENCES["okapi"] + SENTENCES["sea horse"])
    resolve(["okapi"], vectors, of_classes=True)
    again = Letters(fingerprint="letters")
    again.average([SENTENCES["okapi"]])
    assert (encoder.asked, again.asked) == (asked, [])
    with np.load(encoder.cache) as kept:
        assert kept["vectors"].shape == (2, 10)


def test_the_formats_say_the_same(tmp_path: Path) -> None:
    files = {
        "d.json": json.dumps({"okapi": ["a, b", "c"], "emu": "d"}),
        "d.csv": 'class,description\nokapi,"a, b",c\nemu,d\n',
        "long.csv": 'okapi,"a, b"\nemu,d\n\nokapi,c\nokapi,c\n',
        "d.tsv": "okapi\ta, b\tc\nemu\td\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8-sig")
        assert read_descriptions(tmp_path / name).entries == {"okapi": ("a, b", "c"), "emu": ("d",)}


def test_the_form_of_a_sentence() -> None:
    entries = {"sea_horse": ("a curled tail", "no legs")}
    plain = Descriptions(file="d.json", entries=entries)
    formed = Descriptions(file="d.json", entries=entries, form="{name}, which has {description}")
    text = plain.text("sea_horse")
    assert plain.sentences(text) == entries["sea_horse"]
    assert formed.sentences(text) == (
        "sea horse, which has a curled tail", "sea horse, which has no legs"
    )  # fmt: skip
    assert plain.fingerprint != formed.fingerprint


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("d.json", b"[1]", "no JSON object"),
        ("d.json", b"{", "no descriptions"),
        ("d.json", b"{}", "describes no class"),
        ("d.json", b'{"okapi": []}', "'okapi' has no sentence"),
        ("d.json", b'{"okapi": [1]}', "'okapi' has no sentence"),
        ("d.json", b'{"okapi": {"a": "b"}}', "'okapi' has no sentence"),
        ("d.json", b'{"sea horse": "a", "sea_horse": "b"}', "one name spelt in two ways"),
        ("d.json", b"\xff\xfe\xff", "no descriptions"),
        ("d.json", b'{"a": ' * 5000, "no descriptions"),
        ("d.csv", b"okapi\n", "line 1 has no class and sentence"),
        ("d.csv", b'okapi,"a\n', "no descriptions"),
        ("d.csv", b"", "describes no class"),
    ],
)
def test_what_is_no_file_of_descriptions(
    tmp_path: Path, name: str, content: bytes, line: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=line) as caught:
        read_descriptions(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="no such file: give JSON as"):
        read_descriptions("nowhere.json")
    with pytest.raises(InputError, match=r"described_as=a \{name\}: write"):
        read_descriptions("nowhere.json", "a {name}")
    with pytest.raises(InputError, match="undescribed=drop: give error or name"):
        read_described(None, "{description}", "drop")
