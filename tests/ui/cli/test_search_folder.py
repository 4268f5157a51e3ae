"""Questions keep their answers apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devise_exp.ui.cli.search_folder import search_folder

QUESTIONS: tuple[tuple[Any, ...], ...] = (
    ("cat",), ("Cat",), ("cat test",), ("cat", None, "test"), ("horse -grass",), ("a b",), ("a_b",),
    ("horse minus grass",), ("x",), ("../../x",), ("/x",), ("2*cat",), ("2xcat",), ("大熊猫",),
    ("犬",), ("",), ("cat", Path("a/3.png")), ("", Path("a/3.png"), "all", "devise"),
    ("", Path("b/3.png"), "all", "devise"), ("", Path("a/3.png"), "all", "backbone"), ("like 3",),
    ("cat", None, "/one/images"), ("cat", None, "/two/images"), ("b" * 300,), ("b" * 301,),
    ("cat, dog",), ("cat dog",), ('"cat dog"',), ("cat\x00dog",), ("é",),
)  # fmt: skip


def test_no_two_questions_share_a_folder() -> None:
    folders = [search_folder(Path("run"), *question) for question in QUESTIONS]
    assert len({str(folder).casefold() for folder in folders}) == len(QUESTIONS)
    assert {folder.parent for folder in folders} == {Path("run/searches")}
    assert max(len(folder.name) for folder in folders) < 100
    assert folders[4].name == "horse_minus_grass"


def test_a_question_has_one_folder_wherever_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    names = {
        search_folder(Path("run"), "", folder / "3.png", "all", "devise")
        for folder in (tmp_path, tmp_path / "link")
    }
    assert len(names) == 1
