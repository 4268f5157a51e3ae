"""Write the tables of README.md and of the pages, from the series that give their figures.

Run: python docs/tables.py FOLDER   (what `make tables` does, after it has trained the series)

FOLDER has the series `methods` and `splits`. A table stands between `<!-- table NAME ... -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/results/index.md", "experiments/ablation/README.md")
BLOCK = re.compile(r"(<!-- table (?P<name>[\w ]+):[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
ROWS = {
    "devise": "**devise**, the default",
    "devise_map": "its trained projection alone (the DeViSE of 2013)",
    "devise_prior": "with the prior of the pretraining",
    "predicted_classifiers": "the predicted classifiers alone",
    "conse_pretraining": "ConSE, nothing trained",
    "eszsl": "ESZSL",
    "softmax": "an ordinary classifier",
    "random_vectors": "random vectors (the control)",
}
COLUMNS = {
    "unseen hit@1": "unseen", "seen hit@1": "seen", "calibrated H": "H, calibrated",
    "AUSUC": "AUSUC",
}  # fmt: skip
ADDED = ("devise_map", "devise_prior", "devise_classifiers", "predicted_classifiers", "devise")

Cells = list[dict[str, str]]


def read_table(file: Path) -> tuple[Cells, str]:
    """Read a Markdown table and the text below it."""
    table, _, note = file.read_text(encoding="utf-8").partition("\n\n")
    heads, _, *lines = [
        [cell.strip() for cell in line.strip("|").split(" |")] for line in table.splitlines()
    ]
    rows = [dict(zip(heads, line, strict=True)) for line in lines]
    for row in rows:
        row["method"] = row["method"].replace("\\_", "_")
    return rows, note.strip()


def write_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *lines))


def plain(cell: str) -> str:
    """A cell without the marks of the best."""
    return cell.strip("*") or "–"


def eight_rows(methods: Path) -> str:
    """The rows that a reader of README.md meets first."""
    rows = {row["method"]: row for row in read_table(methods / "summary.md")[0]}
    lines = [[ROWS[name], *(plain(rows[name][key]) for key in COLUMNS)] for name in ROWS]
    return write_table(["", *COLUMNS.values()], lines)


def over_splits(splits: Path) -> str:
    """The trained model over splits."""
    rows = read_table(splits / "summary.md")[0][:3]  # the trained model stands first
    lines = [[row["over 10 splits"], *(plain(row[key]) for key in COLUMNS)] for row in rows]
    return write_table(["devise over ten clean splits", *COLUMNS.values()], lines)


def all_rows(methods: Path) -> str:
    """The whole table with its note."""
    rows, note = read_table(methods / "summary.md")
    lines = [[row["method"].replace("_", "\\_"), *list(row.values())[1:]] for row in rows]
    return f"{write_table(list(rows[0]), lines)}\n{note}\n"


def ablation(methods: Path) -> str:
    """What each addition gives."""
    rows = {row["method"]: row for row in read_table(methods / "summary.md")[0]}
    names = ("calibrated u", "calibrated s", *COLUMNS)
    lines = [[f"`{name}`", *(plain(rows[name][key]) for key in names)] for name in ADDED]
    return write_table(["", *names], lines)


TABLES = {
    "methods": lambda folder: eight_rows(folder / "methods"),
    "splits": lambda folder: over_splits(folder / "splits"),
    "all methods": lambda folder: all_rows(folder / "methods"),
    "ablation": lambda folder: ablation(folder / "methods"),
}


def main(folder: Path) -> None:
    """Write each table where its name stands."""
    tables = {name: make(folder) for name, make in TABLES.items()}
    for name in PAGES:
        page = ROOT / name
        text = page.read_text(encoding="utf-8")
        text = BLOCK.sub(lambda found: f"{found[1]}\n{tables[found['name']]}\n{found[3]}", text)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
