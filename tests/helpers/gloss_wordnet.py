"""A WordNet folder whose words have several senses, with glosses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

# Words, the number of the sense that it is a kind of, and the gloss; a word's senses in this order.
SENSES = [
    ("entity", None, "that which exists"),
    ("physical_entity", 0, "an entity that has a body"),
    ("animal beast", 1, "a living being that moves"),
    ("person", 1, "a human being"),
    ("food", 1, "what is eaten"),
    ("artifact", 1, "a thing that was made"),
    ("abstraction", 0, "a general idea"),
    ("lobster", 4, "flesh of a lobster"),
    ("lobster", 2, 'a marine crustacean; "the lobster turned red"'),
    ("bass", 6, "the lowest range in music"),
    ("bass", 2, "a freshwater fish"),
    ("schooner", 5, "a large glass for beer"),
    ("schooner", 5, "a sailing ship; used in former times"),
    ("cup", 5, "a small bowl for drinking"),
    ("cup", 5, "a metal vessel for a winner"),
    ("pitcher", 3, "the player who throws"),
    ("pitcher ewer", 5, "a vessel with a handle and a spout"),
    ("garfield", 3, "20th president"),
    ("fireman fire-eater", 3, "a person who fights fires"),
    ("water_lily", 1, "an aquatic plant"),
    ("wildcat", 2, "a small cat that lives in the wild"),
    ("okapi", 2, "similar to the giraffe but smaller"),
]


def write_wordnet(folder: Path) -> Path:
    """index.noun and data.noun (wndb(5WN)) of SENSES."""
    lines = []
    for words, above, gloss in SENSES:
        lemmas = words.split()
        pointers = "000" if above is None else f"001 @ {{{above}}} n 0000"
        named = " ".join(f"{lemma} 0" for lemma in lemmas)
        lines.append(f"{{this}} 03 n {len(lemmas):02x} {named} {pointers} | {gloss}  \n")
    licence = "  1 A tiny WordNet for tests.  \n"
    marked = [re.sub(r"\{\w+\}", "0" * 8, line) for line in lines]  # as long as they will be
    starts = np.cumsum([len(licence), *map(len, marked)])[:-1].tolist()
    offsets = [f"{start:08d}" for start in starts]
    data = [line.format(*offsets, this=this) for line, this in zip(lines, offsets, strict=True)]
    (folder / "data.noun").write_text(licence + "".join(data), encoding="utf-8")
    senses: dict[str, list[str]] = {}
    for (words, _, _), offset in zip(SENSES, offsets, strict=True):
        for lemma in words.split():
            senses.setdefault(lemma, []).append(offset)
    index = [
        f"{lemma} n {len(result)} 1 @ {len(result)} 0 {' '.join(result)}  \n"
        for lemma, result in sorted(senses.items())
    ]
    (folder / "index.noun").write_text(licence + "".join(index), encoding="utf-8")
    return folder
