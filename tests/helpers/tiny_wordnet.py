"""A WordNet folder in the real format, of a few senses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

LICENCE = "  1 This is a test.  \n  2 WordNet {} Copyright of nobody.  \n"


def write(
    folder: Path,
    senses: Mapping[str, tuple[str, str]],
    version: str = "3.0",
    instances: tuple[str, ...] = (),
    at: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, str]:
    """index.noun and data.noun of `senses`: "words, separated by spaces" -> (the words of what it
    is a kind of, "" for nothing; a gloss). `instances` are instances rather than kinds. A word's
    senses come in this order. The number in a sense's id is the place of its line in the file; `at`
    sets it, rising. Gives each sense's id by its words.
    """

    def lines(ids: Mapping[str, str]) -> list[str]:
        created = []
        for words, (above, gloss) in senses.items():
            lemmas = words.split()
            symbol = "@i" if words in instances else "@"
            pointers = [f"{symbol} {ids[item][1:]} n 0000" for item in above.split(" | ") if item]
            pointers.append("+ 00000000 v 0101")  # to a verb: none of the nouns' business
            created.append(
                f"{ids[words][1:]} 03 n {len(lemmas):02x} "
                + " ".join(f"{lemma} 0" for lemma in lemmas)
                + f" {len(pointers):03d} {' '.join(pointers)} | {gloss}  \n"
            )
        return created

    header = LICENCE.format(version)
    ids = dict.fromkeys(senses, "n00000000")
    data = header
    for words, line in zip(senses, lines(ids), strict=True):  # an id is as long as any other
        data += " " * max(at.get(words, 0) - len(data.encode()) - 1, 0) + "\n" * (words in at)
        ids[words] = f"n{len(data.encode()):08d}"
        data += line
    for words, line in zip(senses, lines(ids), strict=True):
        start = int(ids[words][1:])
        data = data[:start] + line + data[start + len(line) :]
    index: dict[str, list[str]] = {}
    for words, id in ids.items():
        for lemma in words.split():
            index.setdefault(lemma.lower(), []).append(id[1:])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.noun").write_text(data, encoding="utf-8")
    (folder / "index.noun").write_text(
        header
        + "".join(
            f"{lemma} n {len(this)} 2 @ + {len(this)} 0 {' '.join(this)}  \n"
            for lemma, this in sorted(index.items())
        ),
        encoding="utf-8",
    )
    return ids
