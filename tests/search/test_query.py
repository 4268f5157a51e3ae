"""Queries: how a text is cut into terms, and what vector and reading come of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext import save_facebook_model
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.search.query import MAX_CHARACTERS, MAX_WEIGHT, Term, parse, word_query
from devise_exp.text.word_vectors import WordVectors, load_word_vectors

WORDS = [
    *("cat", "dog", "horse", "sofa", "grass", "ship", "anchor", "seahorse", "wild", "wildcat"),
    *("grand", "piano", "ewer", "pitcher", "crane", "t-shirt", "Okapi", "nothing"),
]
CLASSES = {
    "anchor": ("ship", "anchor"),
    "sea_horse": ("seahorse",),
    "pitcher, ewer": ("pitcher",),
    "crane": ("ship",),
    "crane, bird": ("horse",),
    "001.grand-piano": ("piano",),
    "-odd*": ("dog",),
}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> WordVectors:
    vectors = np.random.default_rng(5).normal(size=(len(WORDS), 12)).round(4)
    vectors[WORDS.index("nothing")] = -vectors[WORDS.index("cat")]
    path = tmp_path_factory.mktemp("words") / "small.txt"
    lines = (" ".join([w, *map(str, v)]) for w, v in zip(WORDS, vectors.tolist(), strict=True))
    path.write_text("\n".join(lines), encoding="utf-8")
    return load_word_vectors(path)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("cat", [("cat", 1)]),
        ("  Grand   piano ", [("Grand piano", 1)]),
        ("horse -grass", [("horse", 1), ("grass", -1)]),
        ("-grass horse", [("grass", -1), ("horse", 1)]),
        ("king - man + woman", [("king", 1), ("man", -1), ("woman", 1)]),
        ("2*cat sofa", [("cat", 2), ("sofa", 1)]),
        ("2 * wild cat", [("wild cat", 2)]),
        ("cat + grand piano", [("cat", 1), ("grand piano", 1)]),
        ("cat +grand piano", [("cat", 1), ("grand", 1), ("piano", 1)]),
        ('-0.5*"grand piano" cat', [("grand piano", -0.5), ("cat", 1)]),
        ('wild "cat" dog', [("wild", 1), ("cat", 1), ("dog", 1)]),
        ("- 2*cat sofa", [("cat", -2), ("sofa", 1)]),
        ("cat, sofa,dog", [("cat", 1), ("sofa", 1), ("dog", 1)]),
        ("t-shirt ak-47", [("t-shirt ak-47", 1)]),
        ("“grand piano” −.5×cat", [("grand piano", 1), ("cat", -0.5)]),
        ("2 cats", [("2 cats", 1)]),
        ("東京 -猫", [("東京", 1), ("猫", -1)]),
        ('"a - b"', [("a - b", 1)]),
    ],
)
def test_a_text_is_cut_into_terms(text: str, terms: list[tuple[str, float]]) -> None:
    assert parse(text) == tuple(Term(name, float(weight)) for name, weight in terms)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a cat, lying on a sofa", [("a cat, lying on a sofa", 1)]),
        ("a cat on a sofa, -grass, trees", [("a cat on a sofa,", 1), ("grass", -1), ("trees", 1)]),
        ('2*"a cat, asleep", + a dog', [("a cat, asleep", 2), ("a dog", 1)]),
        (", cat", [("cat", 1)]),
    ],
)
def test_a_sentence_keeps_its_commas(text: str, terms: list[tuple[str, float]]) -> None:
    assert parse(text, sentences=True) == tuple(Term(name, float(w)) for name, w in terms)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "the query is empty"),
        (" , ,, ", "the query is empty"),
        ("cat -", "nothing follows '-'"),
        ("2*", "nothing follows '2*'"),
        ('cat -""', "nothing follows '-'"),
        ('""', "the quotes are empty"),
        ('cat "sofa', "a quote is not closed"),
        ("cat - -grass", "two marks in a row"),
        ("--cat", "two marks in a row"),
        ("cat*2", "'cat*2' has no weight before the *"),
        ("*cat", "has no weight before the *"),
        ("1e3*cat", "has no weight before the *"),
        ("0,5*cat", "has no weight before the *"),
        ("nan*cat", "has no weight before the *"),
        ("0*cat", "the weight 0 is out of range"),
        (f"{'9' * 400}*cat", "is out of range"),
        ("x" * (MAX_CHARACTERS + 1), "give at most 500"),
    ],
)
def test_what_is_no_query_is_one_line(text: str, wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


names = st.text(st.sampled_from("abc é東-_.'7"), min_size=1, max_size=9).map(
    lambda name: " ".join(name.split())
)
weights = st.floats(0.001, MAX_WEIGHT).map(lambda weight: float(f"{weight:.3f}"))


@given(st.lists(st.tuples(names.filter(bool), weights, st.booleans()), min_size=1, max_size=5))
def test_terms_written_out_are_read_back(written: list[tuple[str, float, bool]]) -> None:
    terms = tuple(Term(name, -weight if minus else weight) for name, weight, minus in written)
    text = " ".join(
        f'{"-" if term.weight < 0 else "+"}{abs(term.weight):.3f}*"{term.text}"' for term in terms
    )
    assert parse(text) == terms


@given(st.text(st.sampled_from("ab12 -+*,.\"'×\n\0\ud800"), max_size=30))
def test_any_text_is_terms_or_one_line(text: str) -> None:
    try:
        terms = parse(text)
    except InputError as error:
        terms, said = (), str(error)
    assert terms or "\n" not in said
    for term in terms:
        assert term.text == term.text.strip() != ""
        assert 0 < abs(term.weight) <= MAX_WEIGHT
        assert '"' not in term.text


def test_a_query_is_the_weighted_sum_of_unit_vectors(vocabulary: WordVectors) -> None:
    of = {word: vocabulary.vector(word).astype(np.float64) for word in vocabulary.words}
    grand_piano = unit(of["grand"] + of["piano"])
    expected = unit(2 * of["cat"] - of["grass"] + 0.5 * grand_piano)
    query = word_query('2*cat -grass 0.5*"grand piano"', vocabulary)
    np.testing.assert_allclose(query.vector, expected, atol=1e-6)
    assert query.vector.dtype == np.float32
    assert query.reading == "2*cat - grass + 0.5*grand piano (grand + piano)"
    assert query.words == ("cat", "grass", "grand", "piano")


@pytest.mark.parametrize(
    ("text", "words", "reading", "of_class"),
    [
        ("cat", ["cat"], "cat", None),
        ("okapi", ["Okapi"], "okapi", None),
        ("cats", ["cat"], "cats (cat)", None),
        ("wild cat", ["wildcat"], "wild cat (wildcat)", None),
        ("anchor", ["ship", "anchor"], "anchor (ship + anchor)", "anchor"),
        ("Anchor", ["ship", "anchor"], "Anchor (ship + anchor)", "anchor"),
        ("sea horse", ["seahorse"], "sea horse (seahorse)", "sea_horse"),
        ("ewer", ["pitcher"], "ewer (pitcher)", "pitcher, ewer"),
        ("pitcher, ewer", ["pitcher"], "pitcher, ewer (pitcher)", "pitcher, ewer"),
        ("crane", ["ship"], "crane (ship)", "crane"),
        ("bird", None, "", None),
        ("Crane Bird", None, "", None),
        ("grand piano", ["piano"], "grand piano (piano)", "001.grand-piano"),
        ("-odd*", ["dog"], "-odd* (dog)", "-odd*"),
        ("a cat of the ship", ["cat", "ship"], "a cat of the ship (cat + ship)", None),
    ],
)
def test_a_name_means_what_it_meant_in_training(
    vocabulary: WordVectors, text: str, words: list[str] | None, reading: str, of_class: str | None
) -> None:
    if words is None:  # "bird" is a synonym in one class; "Crane Bird" is that class run together
        assert word_query(text, vocabulary, CLASSES).of_class == "crane, bird"
        return
    query = word_query(text, vocabulary, CLASSES)
    mean = np.mean([vocabulary.vector(word) for word in words], axis=0)
    np.testing.assert_allclose(query.vector, unit(mean), atol=1e-6)
    assert (query.reading, query.of_class, query.words) == (reading, of_class, tuple(words))


def test_a_synonym_of_two_classes_is_a_plain_word(vocabulary: WordVectors) -> None:
    classes = {"crane, bird": ("horse",), "crane, machine": ("ship",)}
    assert word_query("crane", vocabulary, classes).words == ("crane",)


def test_a_class_among_other_terms_keeps_its_words_but_is_not_what_is_asked(
    vocabulary: WordVectors,
) -> None:
    query = word_query("anchor -cat", vocabulary, CLASSES)
    assert query.words == ("ship", "anchor", "cat")
    assert query.of_class is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("wild seehorse", "no word vector for 'seehorse' in small: did you mean seahorse?"),
        ("qqqqqq", "no word vector for 'qqqqqq' in small: write another word"),
        ("!!!", "no word vector for '!!!'"),
        ("cat -grasss", "did you mean grass?"),
        ("-cat -dog", "only takes away"),
        ("cat -cat", "the terms cancel out"),
        ("cat nothing", "cancel out"),
        ("3*cat 3*nothing dog -dog", "the terms cancel out"),
    ],
)
def test_a_query_without_a_vector_is_one_line(
    vocabulary: WordVectors, text: str, wrong: str
) -> None:
    with pytest.raises(InputError) as caught:
        word_query(text, vocabulary)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_beside_an_image_words_may_be_taken_away_alone(vocabulary: WordVectors) -> None:
    query = word_query("-cat", vocabulary, beside_image=True)
    np.testing.assert_allclose(query.vector, -vocabulary.vector("cat"), atol=1e-6)
    assert query.reading == "- cat"
    assert query.of_class is None


def test_an_unknown_word_goes_by_its_subwords_where_there_are_some(tmp_path: Path) -> None:
    sentences = [["okapi", "eats", "leaves"]] * 4
    model = FastText(sentences, vector_size=8, min_count=1, epochs=1, bucket=50, workers=1, seed=1)
    save_facebook_model(model, str(tmp_path / "tiny.bin"))
    vocabulary = load_word_vectors(tmp_path / "tiny.bin")
    query = word_query("okapis2", vocabulary)
    assert query.reading == "okapis2 (by its subwords)"
    np.testing.assert_allclose(query.vector, vocabulary.vector("okapis2"), atol=1e-6)
