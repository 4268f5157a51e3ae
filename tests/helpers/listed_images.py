"""Small images of six classes in a flat folder, and lists of them."""

from __future__ import annotations

from pathlib import Path

from helpers.images import COLOURS, draw

CLASSES = ("ant", "bee", "cat", "dog", "lion", "owl")


def draw_flat(folder: Path, n: int = 6) -> list[tuple[str, str]]:
    """Draw n images a class, FOLDER/pictures/<number>.png; (path below folder, class) of each."""
    colours = [*COLOURS.values()]
    rows = []
    for i in range(n * len(CLASSES)):
        name, path = CLASSES[i % len(CLASSES)], f"pictures/{i:03d} ü.png"
        draw(folder / path, colours[i % len(CLASSES)], seed=i)
        rows.append((path, name))
    return rows


def csv_text(rows: list[tuple[str, ...]], headings: str = "image,label") -> str:
    """A table in CSV."""
    return "\n".join([headings, *(",".join(row) for row in rows)]) + "\n"
