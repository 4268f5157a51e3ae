"""Names from configs and from files: as a person wrote them, whatever YAML makes of them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import NameIndex, listed, name_of, read_names, read_pairs

TYPED = ["null", "true", "no", "1e5", "007", "1_000", "12:30", "0x1f", "inf", "-0", "2.50"]


@pytest.mark.parametrize("name", TYPED)
def test_a_name_that_yaml_takes_for_something_else_is_meant(name: str) -> None:
    (value,) = OmegaConf.create(f"names: [{name}]").names
    assert name_of(value, [*TYPED, "cat"]) == name


def test_a_class_called_nan_is_meant_by_what_hydra_makes_of_it() -> None:
    assert name_of(float("nan"), ["cat", "Nan"]) == "Nan"
    assert name_of(float("nan"), ["cat"]) == "nan"


def test_nfc_and_nfd_are_one_name() -> None:
    names = [unicodedata.normalize(form, "Bücher") for form in ("NFC", "NFD")]
    assert name_of(names[0], [names[1]]) == names[1]
    assert name_of(names[1], [names[0], "cat"]) == names[0]
    assert name_of("Bücher", ["Bucher"]) == "Bücher"


def test_a_list_is_bounded() -> None:
    assert listed(map(str, range(21_841))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 21,831 more"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.txt", "\ufeff# classes\n\nnull\n  café \r\nit's, really\n"),
        ("a.csv", 'class,note\nnull,x\ncafé,\n"it\'s, really"\n'),
        ("a.yaml", "- null\n- café\n- it's, really\n"),
        ("a.json", '["null", "café", "it\'s, really"]'),
    ],
)
def test_a_list_of_names_in_any_form(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_names(tmp_path / file, "split.unseen_file") == ["null", "café", "it's, really"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.csv", '\ufeffclass,words\ntrue,dog\n# note\n"a, b",cat\n大熊猫,giant panda\nempty,\n'),
        ("a.csv", "true;dog\na, b;cat\n大熊猫;giant panda\n"),
        ("a.txt", "true\tdog\na, b\tcat\n大熊猫\tgiant panda\n"),
        ("a.yml", "true: dog\na, b: cat\n大熊猫: giant panda\nempty:\n"),
    ],
)
def test_a_table_of_pairs_in_any_form(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    pairs = read_pairs(tmp_path / file, "labels.aliases_file")
    assert pairs == {"true": "dog", "a, b": "cat", "大熊猫": "giant panda"}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.csv", b"cat,kitten\na, b,c\n", "line 2: 3 columns, not 2.*quotes"),
        ("a.csv", b"cat,kitten\ncat,tom\n", "line 2: 'cat' comes twice"),
        ("a.csv", b"cat,kitten\n\xff,tom\n", "no UTF-8"),
        ("a.csv", b"cat," + 200_000 * b"x" + b"\n", "line 1: field larger"),
        ("a.yaml", b"cat: [kitten\n", "line 2: this is not YAML"),
        ("a.yaml", b"cat: [kitten]\n", "give a mapping"),
        ("a.yaml", b"- cat\n", "give a mapping"),
        ("a.yaml", b"[" * 50_000, "nested too deep"),
        ("b.yaml", None, "No such file"),
    ],
)
def test_what_is_no_table_is_one_line(
    tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=rf"labels.aliases_file=.*{message}") as caught:
        read_pairs(tmp_path / file, "labels.aliases_file")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file_of_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split.unseen_file=.*directory"):
        read_names(tmp_path, "split.unseen_file")


def test_many_names_in_another_form_are_found_at_once() -> None:
    """Without an index each of them would be compared with all names: minutes."""
    names = [f"Bücher {i}" for i in range(21_841)]
    index = NameIndex(names)
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert [index.find(name) for name in decomposed] == names
    assert index.find("Bücher") == "Bücher"
    numbers = NameIndex([f"{i}e1" for i in range(2_000)])
    assert [numbers.find(10 * i) for i in range(1_000)] == [f"{i}e1" for i in range(1_000)]
    assert NameIndex(["2026-13-45", "[[["]).find(7) == "7"


def test_a_name_in_quotes_may_begin_like_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text('class,word\n# note\n"#1",one\n#2,two\n', encoding="utf-8")
    assert read_pairs(path, "labels.aliases_file") == {"#1": "one"}
    assert read_names(path, "split.unseen_file") == ["#1"]
