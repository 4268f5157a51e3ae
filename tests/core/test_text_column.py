"""Texts in two arrays are those of a list."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core import text_column
from devise_exp.core.text_column import TextColumn, packed


@given(texts=st.lists(st.text(max_size=6), max_size=20), data=st.data())
def test_a_column_is_read_as_a_list(texts: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_column, "TEXTS_AT_ONCE", data.draw(st.integers(1, 7)))
        columns = [TextColumn.of(texts)]
        columns[0].save(Path(folder), "texts")
        columns += [TextColumn.load(Path(folder), "texts")] if texts else []
        for column in columns:
            assert list(column) == texts
            assert len(column) == len(texts)
            assert [column[i] for i in range(-len(texts), len(texts))] == texts * 2
            bound = st.none() | st.integers(-25, 25)
            step = data.draw(st.none() | st.sampled_from([-2, -1, 1, 3]))
            chosen = slice(data.draw(bound), data.draw(bound), step)
            assert column[chosen] == tuple(texts[chosen])
            assert column == tuple(texts)
            assert column == columns[0]
            assert column != (*texts, "x")
            with pytest.raises(IndexError):
                column[len(texts)]


def test_names_that_are_no_unicode_are_kept() -> None:
    names = ["a\udcff.png", "köln.png"]
    assert list(TextColumn.of(names)) == names


@pytest.mark.parametrize(
    "ends", [[2, 1], [-1, 3], [9], np.array([1.0])], ids=["falling", "negative", "beyond", "float"]
)
def test_ends_that_do_not_fit_are_refused(ends: object) -> None:
    with pytest.raises(ValueError, match="texts"):
        TextColumn(np.zeros(3, np.uint8), np.asarray(ends))


@pytest.mark.parametrize(
    ("content", "ends"), [((3, 1), (1,)), ((3,), (1, 1)), ((3, 1), (1, 1))], ids=str
)
def test_arrays_of_more_dimensions_are_refused(
    content: tuple[int, ...], ends: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="texts"):
        TextColumn(np.zeros(content, np.uint8), np.zeros(ends, np.int64))


def test_few_texts_stay_a_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed(["a", "b"]) == ("a", "b")
    assert type(packed(["a", "b"])) is tuple
    monkeypatch.setattr(text_column, "MANY_TEXTS", 2)
    assert type(packed(["a", "b"])) is TextColumn
    assert packed(["a", "b"]) == ("a", "b")
