"""Near spellings of names."""

from __future__ import annotations

from devise_exp.core.spelling import nearest_spellings


def test_slips_and_case_are_forgiven() -> None:
    choices = ["cougar_face", "cougar_body", "Faces", "ant", "glove.6B.300d.txt"]
    assert nearest_spellings("cougar_fase", choices) == ["cougar_face", "cougar_body"]
    assert nearest_spellings("face", choices) == ["Faces"]
    assert nearest_spellings("glove.6b.300.txt", choices) == ["glove.6B.300d.txt"]
    assert nearest_spellings("zebra", choices) == []


def test_at_most_n_are_listed_the_nearest_first() -> None:
    assert nearest_spellings("emuu", ["emus", "emu", "emuuu"], n=2) == ["emuuu", "emus"]


def test_the_least_similarity_counts_slips_per_letter() -> None:
    assert nearest_spellings("abcd", ["abxy"]) == []
    assert nearest_spellings("abcd", ["abxy"], min_similarity=0.5) == ["abxy"]
