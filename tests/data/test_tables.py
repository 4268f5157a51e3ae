"""data=table: lists of images as people keep them, and one line for what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.listed_images import CLASSES, csv_text, draw_flat

from devise_exp.core.errors import InputError
from devise_exp.data.tables import image_table

Rows = list[tuple[str, str]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed")
    draw_flat(folder, 4)
    return folder


@pytest.fixture
def rows() -> Rows:
    return [(f"pictures/{i:03d} ü.png", CLASSES[i % 6]) for i in range(24)]


def write(base: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (base / name).write_text(text, encoding=encoding)
    return base / name


def refusal(**options: Any) -> str:
    with pytest.raises(InputError) as caught:
        image_table(**options)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    assert ": " in line
    return line


def as_jsonl(rows: Rows) -> str:
    return "".join(json.dumps({"image": path, "label": name}) + "\n" for path, name in rows)


def test_every_format_gives_the_same_rows(base: Path, rows: Rows) -> None:
    frame = pd.DataFrame(rows, columns=["image", "label"])
    frame.to_parquet(base / "a.parquet")
    files = [
        write(base, "a.csv", csv_text(rows)),
        write(base, "b.csv", csv_text(rows).replace(",", ";"), "utf-8-sig"),
        write(base, "a.tsv", csv_text(rows).replace(",", "\t")),
        write(base, "a.jsonl", as_jsonl(rows)),
        base / "a.parquet",
    ]
    read = [image_table(file) for file in files]
    assert {data.fingerprint for data in read} == {read[0].fingerprint}
    data = read[0]
    assert data.classes == CLASSES
    assert list(data.rows) == sorted(f"{name}/{path}" for path, name in rows)
    assert data.images is not None
    assert data.images[0].size == (40, 40)
    assert data.about == ("table: a.csv: 24 rows, image in column image, label in column label",)


@pytest.mark.parametrize(
    "headings", ["path,class", "File Name,Category", "imagePath,className", "img,species"]
)
def test_columns_are_known_by_their_usual_names(base: Path, rows: Rows, headings: str) -> None:
    assert len(image_table(write(base, "named.csv", csv_text(rows, headings))).rows) == 24


def test_columns_are_chosen_by_options(base: Path, rows: Rows) -> None:
    wide = [(path, "7", name, "x y") for path, name in rows]
    file = write(base, "wide.csv", csv_text(wide, "where,label,what,rest"))
    line = refusal(file=file)
    assert "which column is the image? It has where, label, what, rest: give data.image=" in line
    line = refusal(file=file, image="where")
    assert "labels are numbers (7)" in line
    assert "data.label=COLUMN (what, rest)" in line
    line = refusal(file=file, image="where", label="waht")
    assert "data.label=waht: no such column (near: what" in line
    assert image_table(file, image="where", label="what").classes == CLASSES


def test_numbers_are_named(base: Path, rows: Rows, tmp_path: Path) -> None:
    numbered = [(path, str(CLASSES.index(name))) for path, name in rows]
    file = write(base, "numbers.csv", csv_text(numbered))
    assert "labels are numbers (0, 1, 2 and 3 more)" in refusal(file=file)
    files = {
        "names.txt": "\n".join(CLASSES),
        "numbered.txt": "\n".join(f"{i} {name}" for i, name in enumerate(CLASSES)),
        "pairs.csv": "\n".join(f"{i},{name}" for i, name in enumerate(CLASSES)),
        "id2label.json": json.dumps(dict(enumerate(CLASSES))),
        "label2id.json": json.dumps({name: i for i, name in enumerate(CLASSES)}),
        "list.json": json.dumps(CLASSES),
    }
    named = [image_table(file, names=write(tmp_path, *item)) for item in files.items()]
    assert {data.classes for data in (*named, image_table(file, names=CLASSES))} == {CLASSES}
    assert "label 5 has no name in data.names (which has 5, ant" in refusal(
        file=file, names=CLASSES[:5]
    )
    assert "ant named twice" in refusal(file=file, names=["ant", "ant"])


def test_paths_from_the_table_from_a_root_whole_and_with_dots(
    base: Path, rows: Rows, tmp_path: Path
) -> None:
    (base / "lists").mkdir(exist_ok=True)
    plain = image_table(write(base, "here.csv", csv_text(rows)))
    whole = [(str(base / path), name) for path, name in rows]
    dots = [(f"../lists/../{path}", name) for path, name in rows]
    windows = [(path.replace("/", "\\"), name) for path, name in rows]
    below = [(path.removeprefix("pictures/"), name) for path, name in rows]
    assert image_table(write(base, "windows.csv", csv_text(windows))).rows == plain.rows
    elsewhere = write(tmp_path, "there.csv", csv_text(rows))
    assert "none of 24 images is there, such as" in refusal(file=elsewhere)
    assert "give data.root=FOLDER" in refusal(file=elsewhere)
    assert image_table(elsewhere, root=base).rows == plain.rows
    inside = image_table(write(base, "below.csv", csv_text(below)), root=base / "pictures")
    for text, name in ((whole, "whole.csv"), (dots, "lists/dots.csv")):
        outside = image_table(write(base, name, csv_text(text)))
        assert not any(".." in row for row in outside.rows)
        assert len(outside.rows) == 24
    assert outside.rows == inside.rows
    assert "is no folder" in refusal(file=elsewhere, root=tmp_path / "none")


def test_wrong_rows_are_left_out_and_named(base: Path, rows: Rows) -> None:
    (base / "broken.png").write_bytes(b"no image")
    text = csv_text(rows) + "\n".join(
        ["pictures/000 ü.png", ",ant", "pictures/001 ü.png,", "none.png,ant", "broken.png,ant",
         "https://example.org/a.jpg,ant", "pictures/000 ü.png,ant", "pictures/001 ü.png, ant ", ""]
    )  # fmt: skip
    file = write(base, "wrong.csv", text)
    data = image_table(file)
    assert len(data.rows) == 25  # one image is in two classes
    shown = "\n".join(data.skipped)
    assert "wrong.csv, line 26: 1 values for 2 columns" in shown
    assert "wrong.csv, line 27: no image" in shown
    assert "wrong.csv, line 28: no label" in shown
    assert "ant/none.png: cannot be read: No such file" in shown
    assert "ant/broken.png: not an image" in shown
    assert "is a web address: fetch it" in shown
    assert "1 rows repeat an image of their class (ant/pictures/000 ü.png)" in shown
    assert "4 rows are wrong (wrong.csv, line 26" in refusal(file=file, strict=True)


def test_damaged_lines_of_json(base: Path, rows: Rows) -> None:
    data = image_table(write(base, "bad.jsonl", as_jsonl(rows) + '{"image": \n[1]\n'))
    assert len(data.rows) == 24
    assert "bad.jsonl, line 25: not JSON" in data.skipped[0]
    assert "line 26: not a JSON object" in data.skipped[1]
    file = write(base, "list.json", json.dumps([{"image": rows[0][0], "label": "ant"}]))
    assert "is a list in JSON: write a JSON object a line" in refusal(file=file)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.xlsx", b"PK", "not a table that is read here: save it as"),
        ("empty.csv", b"", "holds no headings"),
        ("latin.csv", "image,label\nü.png,ant\n".encode("latin-1"), "no UTF-8 text"),
        ("no.parquet", b"PAR1 no", "damaged or no Parquet file"),
        ("no.jsonl", b"x\n", "holds no JSON objects"),
        ("twice.csv", b"image,label,label\na,b,c\n", "has two columns label"),
        ("headings.csv", b"image,label\n", "no row has an image and a label"),
        ("long.csv", b"image,label\n" + b"a" * 2_000_000, "a line of more than 1,000,000"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert line in refusal(file=tmp_path / name)


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    assert "does not exist: give a" in refusal(file=tmp_path / "none.csv")
    assert "is a folder: give a" in refusal(file=tmp_path)


def test_a_column_of_parts_is_kept_or_joined(base: Path, rows: Rows) -> None:
    values = ("Training", "validation", "test_set", "train")
    parted = [(*row, values[i // 6]) for i, row in enumerate(rows)]
    file = write(base, "parts.csv", csv_text(parted, "image,label,set"))
    data = image_table(file, parts="keep")
    assert data.parts is not None
    assert [data.parts.count(part) for part in ("train", "val", "test")] == [12, 6, 6]
    assert data.remarks == ()
    assert data.about[1] == "table: parts train 12, val 6, test 6"
    joined = image_table(file)
    assert joined.parts is None
    assert "split=official takes them as they are" in joined.remarks[0]
    assert joined.fingerprint == data.fingerprint
    wrong = write(base, "folds.csv", csv_text([(*row, "3") for row in rows], "image,label,fold"))
    assert "no value of this column says train, val or test (3)" in refusal(
        file=wrong, split="fold"
    )
    assert image_table(wrong, parts="keep").parts is None


def test_several_tables_are_the_parts_of_their_names(base: Path, rows: Rows) -> None:
    train = write(base, "my_train.csv", csv_text(rows[:12]))
    test = write(base, "my_test.csv", csv_text(rows[12:] + rows[:1]))
    data = image_table([str(train), str(test)], parts="keep")
    assert data.parts is not None
    # An image of both is a test image.
    assert [data.parts.count(part) for part in ("train", "test")] == [11, 13]
